/**
 * The inventory service's only door: what is there, what is held for whom.
 *
 * Codes: `out_of_stock` (details.lines says which), `reservation_released` (an undo came first: a
 * late reserve is refused), `reservation_changed` (same order and round, other lines),
 * `already_committed`, `not_reserved`, `unknown_sku`, `request_changed` (same requestId, other count).
 */
import { z } from 'zod'
import { definePrompt } from '../../platform/prompt.ts'
import { defineResource } from '../../platform/resource.ts'
import {
  agentFailure,
  agentRecord,
  defineTool,
  judgedBy,
  readsOnly,
  reasons,
  writesOnce,
} from '../../platform/tool.ts'
import { lines, orderId, round, sku } from '../order/contract.ts'

export const substitute = z.object({
  sku: z.string(),
  name: z.string(),
  available: z.int(),
  /** True when it could replace the whole quantity asked for. */
  covers: z.boolean(),
})
export const offerKind = z.enum(['none', 'wait', 'substitute', 'part'])

export const checkedLine = z.object({
  sku: z.string(),
  quantity: z.int(),
  available: z.int(),
  short: z.int().describe('Units missing; 0 when the line can be served'),
  restockDate: z.string().nullable(),
  substitutes: z.array(substitute),
  offer: z.object({ kind: offerKind, substituteSku: z.string().nullable() }),
})

export const checkInventory = defineTool({
  name: 'check_inventory',
  description:
    'Say whether stock covers every line, and where it does not, what could be offered instead: ' +
    'wait, a substitute, a part. Numbers come from the database, the choice of the offer from an ' +
    'agent, from rules where it gives none. Use it before reserve_stock; it holds nothing. ' +
    'Repeating the call asks the agent again.',
  version: 1,
  scope: 'inventory:check',
  bound: 'order',
  plain: ['sku'],
  annotations: { ...readsOnly, idempotentHint: false, openWorldHint: true },
  input: z.object({ orderId, round, lines }),
  output: z.object({
    by: judgedBy,
    available: z.boolean(),
    verdict: z.enum(['available', 'short', 'review']),
    lines: z.array(checkedLine),
    reasons,
    agentFailure: agentFailure.optional(),
    agent: agentRecord,
  }),
})

const reservationLines = z.array(z.object({ sku: z.string(), quantity: z.int() }))

export const reserveStock = defineTool({
  name: 'reserve_stock',
  description:
    'Hold stock for every line of one round of an order, or for none of them. Use it after the ' +
    'proposals, before the decision. It refuses with out_of_stock and holds nothing when any line ' +
    'is short. Repeating the call with the same order and round changes nothing and returns what ' +
    'is held; after a release it is refused.',
  version: 1,
  scope: 'inventory:reserve',
  bound: 'order',
  plain: ['sku'],
  annotations: writesOnce,
  input: z.object({ orderId, round, lines }),
  output: z.object({ orderId, round, state: z.literal('held'), lines: reservationLines }),
})

export const releaseStock = defineTool({
  name: 'release_stock',
  description:
    'Give back what one round of an order holds. Use it to undo reserve_stock. It succeeds when ' +
    'nothing was reserved, and a reserve that comes later is refused. It refuses a committed ' +
    'reservation. Repeating the call changes nothing.',
  version: 1,
  scope: 'inventory:reserve',
  bound: 'order',
  annotations: writesOnce,
  input: z.object({ orderId, round }),
  output: z.object({ orderId, round, state: z.literal('released'), lines: reservationLines }),
})

export const commitStock = defineTool({
  name: 'commit_stock',
  description:
    'Take what one round of an order holds out of stock for good, because its parcel has a label. ' +
    'Use it after generate_label. It refuses when nothing is held. Repeating the call changes ' +
    'nothing.',
  version: 1,
  scope: 'inventory:reserve',
  bound: 'order',
  annotations: writesOnce,
  input: z.object({ orderId, round }),
  output: z.object({ orderId, round, state: z.literal('committed'), lines: reservationLines }),
})

export const getStock = defineTool({
  name: 'get_stock',
  description:
    'Read how many units of each sku are free to sell now. Use it for a quick look; a number may ' +
    'be old by the time it is read, only reserve_stock holds units. Skus that are not stocked are ' +
    'left out. Repeating the call changes nothing.',
  version: 1,
  scope: 'inventory:read',
  bound: 'none',
  plain: ['skus'],
  annotations: readsOnly,
  input: z.object({ skus: z.array(sku).min(1).max(100) }),
  output: z.object({
    stock: z.array(z.object({ sku: z.string(), name: z.string(), available: z.int() })),
  }),
})

export const findSubstitutes = defineTool({
  name: 'find_substitutes',
  description:
    'List what may be offered instead of a sku, best first, with the units free of each. Use it ' +
    'for a line that stock does not cover. It never substitutes anything. Repeating the call ' +
    'changes nothing.',
  version: 1,
  scope: 'inventory:read',
  bound: 'none',
  plain: ['sku'],
  annotations: readsOnly,
  input: z.object({ sku, quantity: z.int().min(1).max(100_000) }),
  output: z.object({ sku: z.string(), substitutes: z.array(substitute) }),
})

export const getRestockDate = defineTool({
  name: 'get_restock_date',
  description:
    'Read when new units of a sku are expected, as a date, or null when no date is known. Use it ' +
    'for a line that stock does not cover. Repeating the call changes nothing.',
  version: 1,
  scope: 'inventory:read',
  bound: 'none',
  plain: ['sku'],
  annotations: readsOnly,
  input: z.object({ sku }),
  output: z.object({ sku: z.string(), restockDate: z.string().nullable() }),
})

export const setStock = defineTool({
  name: 'set_stock',
  description:
    'Set how many units of a sku are free to sell, after a count or a delivery; the difference is ' +
    'written down as an adjustment with its reason. For operators only. Units held or committed ' +
    'for orders stay as they are. Repeating the call with the same requestId changes nothing.',
  version: 1,
  scope: 'inventory:admin',
  bound: 'none',
  plain: ['sku'],
  annotations: writesOnce,
  input: z.object({
    requestId: z.uuid(),
    sku,
    available: z.int().min(0).max(1_000_000_000),
    reason: z.string().min(1).max(200),
  }),
  output: z.object({ sku: z.string(), available: z.int(), adjustment: z.int() }),
})

export const stockResource = defineResource({
  name: 'stock',
  uri: 'inventory://stock/{sku}',
  description:
    'The units of one sku that are free to sell, and when more are expected. Watch it to hear of ' +
    'changes; a number may be old by the time it is read, only reserve_stock holds units.',
  scope: 'inventory:read',
  bound: 'none',
  variables: z.object({ sku }),
  ttlMs: 0,
})

export const backorderNotice = definePrompt({
  name: 'draft_backorder_notice',
  title: 'Draft a backorder notice',
  description:
    'Helps to write to a customer whose sku is short: what is missing, when more is expected, what ' +
    'could be sent instead. It sends and changes nothing.',
  scope: 'inventory:read',
  bound: 'none',
  input: z.object({ sku: sku.describe('The sku that is short') }),
})
