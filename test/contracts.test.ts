/** What every tool, resource and prompt owes its callers, whoever writes it. */
import assert from 'node:assert/strict'
import { glob } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import type { PromptContract } from '../platform/prompt.ts'
import type { ResourceContract } from '../platform/resource.ts'
import type { ToolContract } from '../platform/tool.ts'

const root = resolve(import.meta.dirname, '..')

interface Door {
  readonly file: string
  readonly isOrchestrator: boolean
  readonly tools: readonly ToolContract[]
  readonly resources: readonly ResourceContract[]
  readonly prompts: readonly PromptContract[]
}

async function readDoor(file: string): Promise<Door> {
  const module = (await import(pathToFileURL(join(root, file)).href)) as Record<string, unknown>
  const contracts = Object.values(module).filter(
    (value): value is { scope: string } =>
      typeof value === 'object' && value !== null && 'scope' in value && 'name' in value,
  )
  return {
    file,
    isOrchestrator: file.startsWith('orchestrator/'),
    tools: contracts.filter((contract): contract is ToolContract => 'annotations' in contract),
    resources: contracts.filter((contract): contract is ResourceContract => 'uri' in contract),
    prompts: contracts.filter((contract): contract is PromptContract => 'title' in contract),
  }
}

const files = await Array.fromAsync(
  glob(['services/*/contract.ts', 'orchestrator/contract.ts'], { cwd: root }),
)
const doors = await Promise.all(files.sort().map(readDoor))

/** What a scope lets a caller do (design, section 4): whoever adds one says it here. */
const scopes: Readonly<Record<string, 'reads' | 'asks' | 'writes' | 'destroys'>> = {
  'order:read': 'reads',
  'order:validate': 'asks',
  'order:write': 'writes',
  'inventory:read': 'reads',
  'inventory:check': 'asks',
  'inventory:reserve': 'writes',
  'inventory:admin': 'writes',
  'fulfillment:read': 'reads',
  'fulfillment:propose': 'writes',
  'fulfillment:label': 'writes',
  'fulfillment:void': 'destroys',
  'orders:read': 'reads',
  'orders:submit': 'writes',
  'orders:cancel': 'destroys',
}
/** They speak to a model or to the carrier, whose answers nobody here knows beforehand. */
const reachesOutside = new Set(['order:validate', 'inventory:check', 'fulfillment:propose'])
for (const scope of ['fulfillment:label', 'fulfillment:void', 'orders:submit']) {
  reachesOutside.add(scope)
}
const quotesTheCarrier = new Set(['quote_shipment'])

const verbs = new Set(
  'cancel check close commit find generate get open orchestrate propose quote release reserve set validate void'.split(
    ' ',
  ),
)
const promptVerbs = new Set('draft explain investigate'.split(' '))

const sentencesOf = (text: string) => text.split(/[.!?](?:\s|$)/).filter((part) => part.trim())

interface JsonSchema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly additionalProperties?: unknown
  readonly enum?: unknown
  readonly const?: unknown
  readonly maxLength?: number
  readonly pattern?: string
  readonly format?: string
  readonly maxItems?: number
  readonly maximum?: number
  readonly exclusiveMaximum?: number
}

/** Paths of the fields that a caller could make as large as it likes. */
function unbounded(schema: JsonSchema, path: string): string[] {
  if (schema.enum !== undefined || schema.const !== undefined) return []
  if (schema.anyOf !== undefined) return schema.anyOf.flatMap((one) => unbounded(one, path))
  switch (schema.type) {
    case 'object': {
      const open = typeof schema.additionalProperties === 'object' ? [`${path}.*`] : []
      const fields = Object.entries(schema.properties ?? {})
      return [...open, ...fields.flatMap(([name, field]) => unbounded(field, `${path}.${name}`))]
    }
    case 'array':
      return [
        ...(schema.maxItems === undefined ? [path] : []),
        ...unbounded(schema.items ?? {}, `${path}[]`),
      ]
    case 'string':
      return isBoundedText(schema) ? [] : [path]
    case 'integer':
    case 'number':
      return (schema.maximum ?? schema.exclusiveMaximum ?? Infinity) < Number.MAX_SAFE_INTEGER
        ? []
        : [path]
    case 'boolean':
    case 'null':
      return []
    default:
      return [path]
  }
}

const isBoundedText = ({ maxLength, format, pattern = '' }: JsonSchema): boolean =>
  maxLength !== undefined ||
  format === 'uuid' ||
  format === 'date' ||
  (/^\^.*\$$/.test(pattern) && !/[^\\[(][*+]|,\}/.test(pattern))

const inputOf = (schema: z.ZodObject) => z.toJSONSchema(schema, { io: 'input' }) as JsonSchema

describe('contracts', () => {
  it('are found', () => {
    assert.deepEqual(
      doors.map(({ file, tools }) => [file, tools.length > 2]),
      [
        ['orchestrator/contract.ts', true],
        ['services/fulfillment/contract.ts', true],
        ['services/inventory/contract.ts', true],
        ['services/order/contract.ts', true],
      ],
    )
  })

  it('would be caught with a field without a limit', () => {
    const loose = z.object({
      ...{ text: z.string(), pattern: z.string().regex(/^a+$/), list: z.array(z.uuid()) },
      ...{ count: z.int().min(0), map: z.record(z.string(), z.uuid()), any: z.unknown() },
      ...{ deep: z.object({ text: z.string().nullable() }), fine: z.string().max(5) },
    })
    assert.deepEqual(unbounded(inputOf(loose), 'loose'), [
      ...['loose.text', 'loose.pattern', 'loose.list', 'loose.count', 'loose.map.*'],
      ...['loose.any', 'loose.deep.text'],
    ])
  })

  for (const { file, isOrchestrator, tools, resources, prompts } of doors) {
    describe(`of ${file}`, () => {
      it('have names that are unique', () => {
        for (const all of [tools, resources, prompts]) {
          const names = all.map(({ name }) => name)
          assert.equal(new Set(names).size, names.length, names.join())
        }
      })

      for (const tool of tools) {
        const { name, description, scope, bound, annotations } = tool
        it(`${name}: says what it does, when to use it, and what repeating does`, () => {
          assert.match(name, /^[a-z]+(_[a-z]+)+$/)
          assert.ok(verbs.has(name.split('_')[0] ?? ''), 'its name begins with a verb')
          assert.ok(sentencesOf(description).length >= 3, 'at least three sentences')
          assert.match(description, /\b(Use it|For operators only)\b/)
          assert.match(description, /\bRepeating the call\b/)
          assert.ok(description.length <= 800, 'every caller pays for it on every list')
        })

        it(`${name}: has annotations that are true`, () => {
          const does = scopes[scope]
          assert.ok(does !== undefined, `nobody knows the scope ${scope}`)
          assert.deepEqual(annotations, {
            readOnlyHint: does === 'reads' || does === 'asks',
            destructiveHint: does === 'destroys',
            // Whoever asks an agent again may get another answer; an effect has a key.
            idempotentHint: does !== 'asks',
            openWorldHint: reachesOutside.has(scope) || quotesTheCarrier.has(name),
          })
        })

        it(`${name}: has versions, and a limit on everything that it takes`, () => {
          const { version, oldestVersion = version } = tool
          assert.ok(Number.isInteger(version) && version >= 1)
          assert.ok(oldestVersion >= 1 && oldestVersion <= version)
          assert.deepEqual(unbounded(inputOf(tool.input), name), [])
        })

        it(`${name}: is bound to the order that it names`, () => {
          // The orchestrator's callers hold no token of an order: an order belongs to its client.
          const names = !isOrchestrator && 'orderId' in tool.input.shape
          assert.equal(bound, names ? 'order' : 'none')
        })

        it(`${name}: hides texts in logs unless it names them`, () => {
          for (const field of tool.plain ?? []) {
            assert.doesNotMatch(field, /name|street|email|note|key|token|reason/i)
          }
        })
      }

      for (const { name, description, scope, bound, variables, uri, ttlMs } of resources) {
        it(`${name}: says what it shows and when to read or watch it`, () => {
          assert.match(name, /^[a-z]+(_[a-z]+)*$/)
          assert.ok(sentencesOf(description).length >= 2, 'at least two sentences')
          assert.equal(scopes[scope], 'reads')
          assert.ok(ttlMs >= 0)
          const named = [...uri.matchAll(/\{(\w+)\}/g)].map(([, variable]) => variable)
          assert.deepEqual(named, Object.keys(variables.shape))
          assert.deepEqual(unbounded(inputOf(variables), name), [])
          const isOrder = !isOrchestrator && 'orderId' in variables.shape
          assert.equal(bound, isOrder ? 'order' : 'none')
        })
      }

      for (const { name, description, scope, bound, input } of prompts) {
        it(`${name}: says what it helps with, and every argument what it is`, () => {
          assert.match(name, /^[a-z]+(_[a-z]+)+$/)
          assert.ok(promptVerbs.has(name.split('_')[0] ?? ''), 'its name begins with a verb')
          assert.ok(sentencesOf(description).length >= 2, 'at least two sentences')
          assert.equal(scopes[scope], 'reads')
          assert.deepEqual(unbounded(inputOf(input), name), [])
          const isOrder = !isOrchestrator && 'orderId' in input.shape
          assert.equal(bound, isOrder ? 'order' : 'none')
          for (const [argument, field] of Object.entries(input.shape)) {
            assert.ok((field as z.ZodType).description, `${argument} is described`)
          }
        })
      }
    })
  }

  it('have scopes that somebody needs', () => {
    const used = doors.flatMap(({ tools, resources, prompts }) =>
      [...tools, ...resources, ...prompts].map(({ scope }) => scope),
    )
    assert.deepEqual([...new Set(used)].sort(), Object.keys(scopes).sort())
  })
})
