/**
 * Makes a value fit a JSON schema, as grammar-constrained decoding would: what the schema does not
 * know is left out, what it requires and the value lacks gets the smallest thing that fits.
 */

type Schema = Readonly<Record<string, unknown>>

const depthMax = 32

/** The value, cut and completed to fit. `undefined` gives a minimal value of the schema. */
export function fitToSchema(value: unknown, schema: unknown): unknown {
  return fit(value, isRecord(schema) ? schema : {}, isRecord(schema) ? schema : {}, 0)
}

function fit(value: unknown, schema: Schema, root: Schema, depth: number): unknown {
  if (depth > depthMax) return null
  if (typeof schema.$ref === 'string')
    return fit(value, resolve(schema.$ref, root), root, depth + 1)
  if ('const' in schema) return schema.const
  if (Array.isArray(schema.enum)) return fitEnum(value, schema.enum)
  const branches = schema.anyOf ?? schema.oneOf
  if (Array.isArray(branches)) {
    const branch = branches.find((one) => accepts(value, one, root)) ?? branches[0]
    return fit(value, isRecord(branch) ? branch : {}, root, depth + 1)
  }
  if (Array.isArray(schema.allOf) && isRecord(schema.allOf[0])) {
    return fit(value, schema.allOf[0], root, depth + 1)
  }
  switch (typeFor(value, schema)) {
    case 'object':
      return fitObject(value, schema, root, depth)
    case 'array':
      return fitArray(value, schema, root, depth)
    case 'string':
      return typeof value === 'string' ? value : ''
    case 'boolean':
      return value === true
    case 'integer':
      return typeof value === 'number' ? Math.round(value) : 0
    case 'number':
      return typeof value === 'number' ? value : 0
    case 'null':
      return null
    default:
      return value ?? null
  }
}

function fitObject(value: unknown, schema: Schema, root: Schema, depth: number): unknown {
  const given = isRecord(value) ? value : {}
  const required = new Set(Array.isArray(schema.required) ? schema.required : [])
  const fitted: Record<string, unknown> = {}
  for (const [name, property] of Object.entries(
    isRecord(schema.properties) ? schema.properties : {},
  )) {
    if (given[name] === undefined && !required.has(name)) continue
    fitted[name] = fit(given[name], isRecord(property) ? property : {}, root, depth + 1)
  }
  return fitted
}

function fitArray(value: unknown, schema: Schema, root: Schema, depth: number): unknown {
  const items = isRecord(schema.items) ? schema.items : {}
  if (Array.isArray(value)) return value.map((item) => fit(item, items, root, depth + 1))
  return typeof schema.minItems === 'number' && schema.minItems > 0
    ? [fit(undefined, items, root, depth + 1)]
    : []
}

/** Enum casing is not guaranteed by the vendor; here the schema's own casing always wins. */
function fitEnum(value: unknown, values: readonly unknown[]): unknown {
  if (values.includes(value)) return value
  const lower = typeof value === 'string' ? value.toLowerCase() : undefined
  const same = values.find((one) => typeof one === 'string' && one.toLowerCase() === lower)
  return same ?? values[0] ?? null
}

function accepts(value: unknown, branch: unknown, root: Schema): boolean {
  if (!isRecord(branch)) return false
  if (value === undefined) return branch.type === 'null'
  const schema = typeof branch.$ref === 'string' ? resolve(branch.$ref, root) : branch
  if ('const' in schema) return schema.const === value
  if (Array.isArray(schema.enum)) return schema.enum.includes(value)
  const types = Array.isArray(schema.type) ? schema.type : [schema.type]
  return types.some((type) => isOfType(value, type))
}

function typeFor(value: unknown, schema: Schema): unknown {
  if (!Array.isArray(schema.type)) return schema.type
  return schema.type.find((type) => isOfType(value, type)) ?? schema.type[0]
}

function isOfType(value: unknown, type: unknown): boolean {
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  if (type === 'object') return isRecord(value)
  if (type === 'integer') return Number.isInteger(value)
  return typeof value === type
}

function resolve(ref: string, root: Schema): Schema {
  let node: unknown = root
  for (const part of ref.replace(/^#\/?/, '').split('/')) {
    if (part !== '') node = isRecord(node) ? node[part] : undefined
  }
  return isRecord(node) ? node : {}
}

function isRecord(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
