/**
 * What callers may send, checked and made compact (blank fields are dropped, numbers may be strings
 * as at EasyPost). Everything has a limit. What this subset cannot honour is refused, not ignored.
 */
import { z } from 'zod'
import { CarrierError, type FieldError, unprocessable } from './errors.ts'

const CUSTOMS_ITEMS_MAX = 100
const OPTIONS_MAX = 20
const PAGE_SIZE_MAX = 100
const OUNCES_MAX = 100_000
const INCHES_MAX = 1_000

const text = (max: number) =>
  z
    .string()
    .trim()
    .max(max)
    .nullish()
    .transform((value) => value || undefined)

const numeric = z.union([
  z.number(),
  z
    .string()
    .trim()
    .regex(/^\d{1,12}(\.\d{1,6})?$/, 'is not a number')
    .transform(Number),
])

/** Weights and dimensions go to one decimal point, as at EasyPost. */
const oneDecimal = (max: number) =>
  numeric.transform((value) => Math.round(value * 10) / 10).pipe(z.number().positive().max(max))

const unsupported = (what: string) =>
  z.undefined({ error: `${what} is not part of the carrier stand-in` }).optional()

const country = text(64).transform((value) => (value ?? 'US').toUpperCase())

const address = z.object({
  id: unsupported('a stored address'),
  name: text(120),
  company: text(120),
  street1: text(200),
  street2: text(200),
  city: text(120),
  state: text(60),
  zip: text(30),
  country,
  phone: text(60),
  email: text(254),
})
export type Address = z.output<typeof address>

const parcel = z
  .object({
    id: unsupported('a stored parcel'),
    weight: oneDecimal(OUNCES_MAX),
    length: oneDecimal(INCHES_MAX).optional(),
    width: oneDecimal(INCHES_MAX).optional(),
    height: oneDecimal(INCHES_MAX).optional(),
    predefined_package: text(60),
  })
  .refine(
    ({ length, width, height }) =>
      [length, width, height].every((side) => side === undefined) ||
      [length, width, height].every((side) => side !== undefined),
    { error: 'length, width and height go together', path: ['length'] },
  )
export type Parcel = z.output<typeof parcel>

const customsItem = z.object({
  id: unsupported('a stored customs item'),
  description: z.string().trim().min(1).max(255),
  quantity: numeric.pipe(z.number().positive().max(1_000_000)),
  value: numeric.pipe(z.number().nonnegative().max(10_000_000)),
  weight: oneDecimal(OUNCES_MAX),
  origin_country: z
    .string()
    .trim()
    .toUpperCase()
    .regex(/^[A-Z]{2}$/, 'is not an ISO 3166 code'),
  hs_tariff_number: text(20),
  code: text(60),
  currency: text(3),
})

const customsInfo = z.object({
  id: unsupported('stored customs information'),
  customs_certify: z.union([z.boolean(), z.stringbool()]).default(false),
  customs_signer: text(120),
  contents_type: text(40),
  contents_explanation: text(255),
  restriction_type: text(40),
  restriction_comments: text(255),
  eel_pfc: text(60),
  non_delivery_option: text(40),
  declaration: text(255),
  customs_items: z.array(customsItem).max(CUSTOMS_ITEMS_MAX).default([]),
})
export type CustomsInfo = z.output<typeof customsInfo>

const options = z
  .record(z.string().max(64), z.union([z.string().max(255), z.number(), z.boolean(), z.null()]))
  .refine((record) => Object.keys(record).length <= OPTIONS_MAX, `at most ${OPTIONS_MAX} options`)

const shipment = z.object({
  to_address: address,
  from_address: address.refine((from) => from.country === 'US', {
    error: 'parcels start in the US',
    path: ['country'],
  }),
  parcel,
  customs_info: customsInfo.nullish().transform((value) => value ?? undefined),
  reference: text(255),
  options: options.nullish().transform((value) => value ?? undefined),
  is_return: z.literal(false, { error: 'returns are not part of the carrier stand-in' }).optional(),
  service: unsupported('buying in the call that creates'),
})
/** What a shipment is made of; the book stores exactly this. */
export type Facts = z.output<typeof shipment>

/** `POST /v2/shipments` and `POST /beta/rates`. */
export const shipmentBody = z.object({ shipment })

/** `POST /v2/shipments/:id/buy`. */
export const buyBody = z.object({ rate: z.object({ id: z.string().min(1).max(100) }) })

const verifyFlags = { verify: z.unknown().optional(), verify_strict: z.unknown().optional() }

/** `POST /v2/addresses`: the mere presence of `verify` or `verify_strict` asks for verification. */
export const addressBody = z.object({
  address: address.extend(verifyFlags),
  ...verifyFlags,
})

/** `POST /v2/trackers`. */
export const trackerBody = z.object({
  tracker: z.object({ tracking_code: z.string().min(1).max(64), carrier: text(60) }),
})

/** `GET /v2/shipments`: purchased ones only unless `purchased=false`, 20 a page, as at EasyPost. */
export const listQuery = z.object({
  before_id: z.string().max(100).optional(),
  after_id: z.string().max(100).optional(),
  page_size: z.coerce.number().int().min(1).max(PAGE_SIZE_MAX).default(20),
  purchased: z.stringbool().default(true),
})

/**
 * Checks a body or query.
 *
 * @throws CarrierError 400 when it is no JSON object, 422 naming every field that is missing or wrong.
 */
export function parse<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new CarrierError(400, 'BAD_REQUEST', 'The request body must be a JSON object.')
  }
  const parsed = schema.safeParse(input)
  if (parsed.success) return parsed.data
  const errors: FieldError[] = parsed.error.issues.map(({ path, message }) => ({
    field: path.join('.'),
    message: isBlank(input, path) ? 'cannot be blank' : message,
  }))
  throw errors.some(({ message }) => message === 'cannot be blank')
    ? unprocessable('PARAMETER.REQUIRED', 'Missing required parameter.', errors)
    : unprocessable('PARAMETER.INVALID', 'Invalid parameter.', errors)
}

function isBlank(input: unknown, path: readonly PropertyKey[]): boolean {
  let value = input
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return true
    value = (value as Record<PropertyKey, unknown>)[key]
  }
  return value === undefined || value === null || value === ''
}
