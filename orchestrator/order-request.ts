/**
 * The door: what `POST /orchestrate` accepts. The short form is for people, the long form for
 * programs; both become one normal form. Every refusal names the field by a JSON pointer.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { invalid } from '../platform/errors.ts'
import { address, customerRef, line, lines, note, sku } from '../services/order/contract.ts'

const customer = z.preprocess(
  (value) => (typeof value === 'string' ? { name: value } : value),
  customerRef,
)
const common = {
  customer,
  shipTo: address.optional(),
  note: note.optional(),
  shipBy: z.iso.date().optional(),
}
export const shortForm = z.strictObject({ sku, qty: line.shape.quantity, ...common })
export const longForm = z.strictObject({ lines, ...common })

/** One order as everything behind the door knows it: lines merged by sku, in order of sku. */
export type OrderRequest = z.output<typeof longForm>

const errorsMax = 10

/**
 * Checks and normalises a request body.
 *
 * @throws invalid `invalid_order` with `errors: [{pointer, message}]`; nothing was stored.
 */
export function parseOrderRequest(body: unknown): OrderRequest {
  const isLong = typeof body === 'object' && body !== null && Object.hasOwn(body, 'lines')
  const parsed = isLong ? longForm.safeParse(body) : shortForm.safeParse(body)
  if (!parsed.success) throw invalidOrder(parsed.error.issues.flatMap(toErrors))
  const data = parsed.data
  const raw = 'lines' in data ? data.lines : [{ sku: data.sku, quantity: data.qty }]
  const merged = mergeLines(raw)
  const tooMany = merged.find((m) => !line.shape.quantity.safeParse(m.quantity).success)
  if (tooMany !== undefined) {
    const message = `The lines of ${tooMany.sku} add up to more than 1000 units`
    throw invalidOrder([{ pointer: '/lines', message }])
  }
  const { customer, shipTo, note, shipBy } = data
  return {
    lines: merged,
    customer,
    ...(shipTo === undefined ? {} : { shipTo }),
    ...(note === undefined || note.trim() === '' ? {} : { note }),
    ...(shipBy === undefined ? {} : { shipBy }),
  }
}

/** Lines of one sku count as one. */
function mergeLines(raw: OrderRequest['lines']): OrderRequest['lines'] {
  const quantities = new Map<string, number>()
  for (const { sku, quantity } of raw) quantities.set(sku, (quantities.get(sku) ?? 0) + quantity)
  return [...quantities]
    .map(([sku, quantity]) => ({ sku, quantity }))
    .sort((a, b) => (a.sku < b.sku ? -1 : 1))
}

/** The same order gives the same hash, however its JSON was laid out. */
export function hashOf(request: OrderRequest): string {
  return createHash('sha256').update(canonical(request)).digest('hex')
}

/** The same value gives the same JSON, however it was laid out. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, v]) => `${JSON.stringify(key)}:${canonical(v)}`).join(',')}}`
}

interface FieldError {
  readonly pointer: string
  readonly message: string
}

function toErrors(issue: z.core.$ZodIssue): FieldError[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      pointer: pointerOf([...issue.path, key]),
      message: 'This field is not known',
    }))
  }
  if (issue.code === 'invalid_union') {
    // The form with the fewest complaints is the one that was meant.
    const meant = issue.errors.toSorted((a, b) => a.length - b.length)[0] ?? []
    return meant.flatMap((inner) => toErrors({ ...inner, path: [...issue.path, ...inner.path] }))
  }
  return [{ pointer: pointerOf(issue.path), message: issue.message }]
}

/** RFC 6901. */
const pointerOf = (path: readonly PropertyKey[]): string =>
  path
    .map((part) => `/${String(part).slice(0, 64).replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('')

/**
 * Checks a small body of another route.
 *
 * @throws invalid `invalid_body` with `errors: [{pointer, message}]`.
 */
export function parseBody<S extends z.ZodObject>(schema: S, body: unknown): z.output<S> {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  throw invalidFields('invalid_body', 'The body', parsed.error.issues.flatMap(toErrors))
}

const invalidOrder = (errors: readonly FieldError[]) =>
  invalidFields('invalid_order', 'The order', errors)

function invalidFields(code: string, what: string, errors: readonly FieldError[]) {
  const [first] = errors
  const at = first?.pointer === '' ? 'the body' : first?.pointer
  return invalid(code, `${what} is not valid at ${at}: ${first?.message}`, {
    next: 'Correct the fields named in `errors` and send it again.',
    details: { errors: errors.slice(0, errorsMax) },
  })
}
