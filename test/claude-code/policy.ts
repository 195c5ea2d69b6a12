/** What the Claude stand-in wants of Claude Code: one look at the stock, one at the orders. */
import { openCalls, type Policy } from '../../standins/claude/policy.ts'

/** Claude Code's name of a tool: `mcp__<server>__<tool>`. */
export const wantedCalls = [
  { name: 'mcp__inventory__get_stock', input: { skus: ['ABC123'] } },
  { name: 'mcp__order__find_orders', input: { limit: 1 } },
] as const

export const lookAround: Policy = {
  name: 'look_around',
  tools: wantedCalls.map(({ name }) => name),
  verdictFields: [],
  move: (view) => {
    const calls = openCalls(view, wantedCalls)
    if (calls.length > 0) return { kind: 'call', thought: 'I look around.', calls }
    return { kind: 'say', text: 'I have seen the stock and the orders.' }
  },
}
