/** Who talks to whom: the picture of docs/security.md and of every network policy, as data. */

/** A process and the only peers that it may open connections to. */
export const mayConnectTo: Readonly<Record<string, readonly string[]>> = {
  orchestrator: ['postgres', 'order', 'inventory', 'fulfillment', 'claude-standin'],
  // To the orchestrator for its public keys only.
  order: ['postgres', 'orchestrator', 'claude-standin'],
  inventory: ['postgres', 'orchestrator', 'claude-standin'],
  fulfillment: ['postgres', 'orchestrator', 'claude-standin', 'carrier-standin'],
  'claude-standin': [],
  'carrier-standin': [],
}
