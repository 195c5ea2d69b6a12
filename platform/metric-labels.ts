/**
 * The closed sets that label metrics. Whatever is counted by a word of a caller, or by a code that is
 * not listed, counts as `other`: no request can make a new series.
 */

/** Why a request was refused for who sent it. */
export const authRefusalReasons = [
  // At every door of every process.
  'missing_token',
  'invalid_token',
  'insufficient_scope',
  'order_not_bound',
  'token_replayed',
  'rate_limited',
  'issuer_unavailable',
  // At an orchestrator without tokens (AUTH=off).
  'foreign_host',
  'foreign_origin',
  // At the token endpoint, in the words of RFC 6749 and RFC 8707.
  'invalid_request',
  'invalid_client',
  'invalid_scope',
  'invalid_target',
  'unsupported_grant_type',
  'too_many_failed_logins',
  'other',
] as const
export type AuthRefusalReason = (typeof authRefusalReasons)[number]

const reasons: ReadonlySet<string> = new Set(authRefusalReasons)

export const authRefusalReason = (code: string): AuthRefusalReason =>
  reasons.has(code) ? (code as AuthRefusalReason) : 'other'

/** Codes that refuse a call behind a valid token; what else a call ends with is no matter of access. */
export const isAccessCode = (code: string): boolean =>
  code === 'insufficient_scope' || code === 'order_not_bound' || code === 'token_replayed'

/**
 * How an agent's run ended: `verdict` at once, `repaired` after one more turn, `rules` decided in its
 * place, or the order is `held` because rules may not.
 */
export const agentOutcomes = ['verdict', 'repaired', 'rules', 'held'] as const
export type AgentOutcome = (typeof agentOutcomes)[number]

export const tokenKinds = ['input', 'output', 'cache_read', 'cache_write'] as const

/** Ends of a model request that alerts ask for, so they are there, as 0, before the first. */
export const watchedModelOutcomes = [
  'end_turn',
  'tool_use',
  'model_rate_limited',
  'model_overloaded',
  'model_deadline',
  'model_unreachable',
] as const
