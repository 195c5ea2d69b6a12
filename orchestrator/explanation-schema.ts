/** What `GET /orders/:id/explain` answers, for `/openapi.json` and the tests that hold it against it. */
import { z } from 'zod'
import { finding, outcome } from '../services/order/contract.ts'
import { stepError, traceId, usd } from './answer-schema.ts'

const coded = z.strictObject({ code: z.string(), message: z.string() })
const tokens = z.int().min(0)

const proposal = z.strictObject({
  by: z.string(),
  verdict: z.string().optional(),
  reasons: z.array(z.string()),
  insteadOfAgent: coded.optional(),
  findings: z.array(finding.strict()),
})

const agent = z.strictObject({
  model: z.string(),
  insteadOf: z.array(z.strictObject({ model: z.string(), code: z.string() })),
  turns: z.int().min(0),
  stopReason: z.string(),
  tokens,
  costUsd: usd,
  evidence: z.array(
    z.strictObject({
      tool: z.string(),
      ok: z.boolean(),
      found: z.string().optional().describe('What was found, clipped, or the code of a refusal'),
    }),
  ),
})

const step = z.strictObject({
  round: z.int().min(1),
  step: z.string(),
  service: z.string(),
  state: z.enum(['done', 'failed']),
  attempts: z.int().min(1),
  durationMs: z.int().min(0),
  error: stepError.optional(),
  proposal: proposal.optional(),
  agent: agent.optional(),
})

export const explanationSchema = z
  .strictObject({
    orderId: z.uuid(),
    traceId,
    status: z.enum(['running', ...outcome.options]),
    code: z.string().nullable(),
    why: z.string(),
    next: z.string().optional(),
    decision: z.strictObject({ by: z.string(), outcome, reasons: z.array(z.string()) }).optional(),
    findings: z.array(finding.strict()),
    steps: z.array(step),
    total: z.strictObject({ costUsd: usd, tokens, durationMs: z.int().min(0) }),
    mode: z.enum(['standin', 'live']),
  })
  .describe('Why an order ended as it did: who proposed what, what the rules said, what it took')
