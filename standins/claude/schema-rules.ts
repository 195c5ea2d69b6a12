/**
 * JSON Schema as far as grammar-constrained output goes: strict tools and `output_config.format`.
 *
 * The limits are the vendor's: 20 strict tools, 24 optional and 16 union-typed parameters a request.
 */

import { invalidRequest } from './api-error.ts'

const strictToolsMax = 20
const optionalMax = 24
const unionsMax = 16
const depthMax = 32

/** Keywords the grammar compiler refuses, whatever their value. */
const unsupported = new Set([
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'maxItems',
  'uniqueItems',
  'contains',
  'prefixItems',
  'minProperties',
  'maxProperties',
  'patternProperties',
  'propertyNames',
  'dependentRequired',
  'dependentSchemas',
  'oneOf',
  'not',
  'if',
  'then',
  'else',
])

const formats = new Set([
  'date-time',
  'time',
  'date',
  'duration',
  'email',
  'hostname',
  'uri',
  'ipv4',
  'ipv6',
  'uuid',
])

/** Look-around, back references and word boundaries are not part of the supported regular expressions. */
const hardPattern = /\(\?[=!<]|\\[1-9bB]/

type Count = { optional: number; unions: number }
type Schema = Readonly<Record<string, unknown>>

/**
 * Refuses (400) a schema the grammar compiler would refuse: unsupported keywords, objects that do
 * not say `additionalProperties: false`, too many strict tools, optional or union parameters.
 */
export function checkSchemas(
  strictTools: readonly { readonly path: string; readonly schema: unknown }[],
  format: unknown,
): void {
  if (strictTools.length > strictToolsMax) {
    throw invalidRequest(
      `tools: at most ${strictToolsMax} strict tools, found ${strictTools.length}`,
    )
  }
  const count: Count = { optional: 0, unions: 0 }
  for (const { path, schema } of strictTools) walk(schema, path, count, 0)
  if (format !== undefined) walk(format, 'output_config.format.schema', count, 0)
  if (count.optional > optionalMax) {
    throw invalidRequest(
      `Schemas contain too many optional parameters (${count.optional}), max ${optionalMax}`,
    )
  }
  if (count.unions > unionsMax) {
    throw invalidRequest(`Schemas contain too many union types (${count.unions}), max ${unionsMax}`)
  }
}

function walk(value: unknown, path: string, count: Count, depth: number): void {
  if (!isSchema(value)) return
  if (depth > depthMax) throw invalidRequest(`${path}: schema is nested too deeply`)
  checkKeywords(value, path)
  if (Array.isArray(value.type) || Array.isArray(value.anyOf)) count.unions += 1
  if (value.type === 'object' || value.properties !== undefined)
    walkObject(value, path, count, depth)
  if (isSchema(value.items)) walk(value.items, `${path}.items`, count, depth + 1)
  for (const key of ['anyOf', 'allOf'] as const) {
    const list = value[key]
    if (!Array.isArray(list)) continue
    for (const [i, entry] of list.entries()) walk(entry, `${path}.${key}.${i}`, count, depth + 1)
  }
  for (const key of ['$defs', 'definitions'] as const) {
    const defs = value[key]
    if (!isSchema(defs)) continue
    for (const [name, def] of Object.entries(defs)) {
      walk(def, `${path}.${key}.${name}`, count, depth + 1)
    }
  }
}

function walkObject(schema: Schema, path: string, count: Count, depth: number): void {
  if (schema.additionalProperties !== false) {
    throw invalidRequest(
      `${path}: For 'object' type, 'additionalProperties' must be explicitly set to false`,
    )
  }
  if (!isSchema(schema.properties)) return
  const required = new Set(Array.isArray(schema.required) ? schema.required : [])
  for (const [name, property] of Object.entries(schema.properties)) {
    if (!required.has(name)) count.optional += 1
    walk(property, `${path}.properties.${name}`, count, depth + 1)
  }
}

function checkKeywords(schema: Schema, path: string): void {
  for (const key of Object.keys(schema)) {
    if (unsupported.has(key)) throw invalidRequest(`${path}: property '${key}' is not supported`)
  }
  const { format, pattern, minItems } = schema
  if (typeof format === 'string' && !formats.has(format)) {
    throw invalidRequest(`${path}: format '${format}' is not supported`)
  }
  if (typeof pattern === 'string' && hardPattern.test(pattern)) {
    throw invalidRequest(`${path}: pattern uses a feature that is not supported`)
  }
  if (minItems !== undefined && minItems !== 0 && minItems !== 1) {
    throw invalidRequest(`${path}: 'minItems' may only be 0 or 1`)
  }
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
