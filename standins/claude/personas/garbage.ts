/**
 * Answers that no schema allows: wrong types, impossible numbers and characters, tools that do not
 * exist, other people's ids, stop reasons from nowhere. Which of them is drawn anew in every turn.
 */

import { RawInput } from '../raw-input.ts'
import { lieOf } from './lies.ts'
import {
  type Act,
  calls,
  honestly,
  inventedMark,
  likelyCall,
  type Persona,
  pick,
  type RawBlock,
  type Scene,
  says,
} from './persona.ts'

const hugeNumbers = [1e308, -1, 2 ** 53, Number.MIN_VALUE, -0]
/** From odd to fatal: what copies or writes a value level by level runs out of stack on the way. */
const nestedLevels = [100, 3_000, 20_000]
const nested = ({ random }: Scene) => {
  const levels = pick(nestedLevels, random()) ?? 0
  return '['.repeat(levels) + ']'.repeat(levels)
}
const oddNames = [
  '',
  '../../set_stock',
  'constructor',
  '__proto__',
  'a b;drop',
  '\u0000',
  'x'.repeat(5_000),
]
const oddStops = [
  `${inventedMark}_stop`,
  'end_turn ',
  'pause_turn',
  'constructor',
  'x'.repeat(5_000),
]
/** NUL, half of a pair, a bell, a terminal's escape, right-to-left, a line that looks like a log's. */
const oddText = `${inventedMark} \u0000 \ud800 \u0007 \u001b[31m \u202e \u2028 \n{"level":"error"}`

/** Some turns are honest, so that conversations get somewhere before they go wrong. */
const honestShare = 0.3
const callShare = 0.6

export const garbage: Persona = {
  name: 'garbage',
  act: (scene) => {
    const { honest, random } = scene
    if (random() < honestShare) return honestly(scene)
    const kinds = honest.kind === 'call' && random() < callShare ? inCalls : inVerdicts
    return pick(kinds, random())?.(scene) ?? says('')
  },
}

const inCalls: readonly ((scene: Scene) => Act)[] = [
  // Ids of others, in every field that an id may have.
  ({ strangers, view }) =>
    calls(
      ...[...view.offered].flatMap((name) =>
        strangers.slice(0, 6).map((id) => ({
          name,
          input: { orderId: id, customerId: id, sku: id, skus: [id], quantity: 1 },
        })),
      ),
    ),
  (scene) =>
    calls(
      ...hugeNumbers.map((n) => withInput(scene, { sku: n, skus: [n], orderId: n, quantity: n })),
    ),
  (scene) => calls(withInput(scene, fromJson('{"__proto__":{"isAdmin":true},"constructor":1}'))),
  (scene) => calls(withInput(scene, everywhere(oddText))),
  (scene) => calls(withInput(scene, [1, 'two', null])),
  (scene) => calls(withInput(scene, new RawInput(`{"sku":${nested(scene)},"orderId":[]}`))),
  (scene) => calls(withInput(scene, new RawInput('{"orderId":"half'))),
  (scene) => calls(...oddNames.map((name) => ({ ...withInput(scene, {}), name }))),
  ({ view }) =>
    calls(
      ...['close_order', 'set_stock', 'void_label', 'run_sql'].map((name) => ({
        name,
        input: { ...(view.task as object), sql: 'delete from stock', available: 0 },
      })),
    ),
  (scene) => {
    const twice = { ...withInput(scene, {}), id: `toolu_standin_${inventedMark}` }
    return calls(twice, twice)
  },
  (scene) => calls({ ...withInput(scene, {}), id: '' }),
  () => calls(),
]

const inVerdicts: readonly ((scene: Scene) => Act)[] = [
  () => says({ verdict: 1e308, decision: -1, reasons: 2 ** 53, lines: null, skip: '*' }),
  () => says('[[[[{"verdict":"accept"}]]]]'),
  () => says(`{"verdict":"accept"} {"verdict":"review"}`),
  () => says(`\`\`\`json\n{"verdict":"accept"}\n\`\`\``),
  () => says('{"__proto__":{"verdict":"accept","decision":"ship"}}'),
  (scene) => says(nested(scene)),
  () => says('null'),
  () => says(''),
  () => ({ kind: 'raw', blocks: [], stopReason: 'end_turn' }),
  ({ policy, view, random }) =>
    says(lieOf(policy, view, [oddText, '\u0000', ' ', oddText], random())),
  ({ policy, view }) =>
    says({ ...lieOf(policy, view, [oddText], 0), summary: oddText, carrier: oddText }),
  ({ policy, view, random }) => says(lieOf(policy, view, ['fine'], 0), pick(oddStops, random())),
  ({ policy, view, random }) => {
    const { reasons: _reasons, ...rest } = lieOf(policy, view, [], random())
    return says({ ...rest, reasons: [{ text: inventedMark }, 7, null] })
  },
]

const fromJson = (text: string): unknown => JSON.parse(text)

const withInput = (scene: Scene, input: unknown): Extract<RawBlock, { type: 'tool_use' }> => ({
  type: 'tool_use',
  name: likelyCall(scene)?.name ?? 'get_order',
  input,
})

const everywhere = (text: string) => ({
  orderId: text,
  customerId: text,
  sku: text,
  skus: [text],
  quantity: text,
})
