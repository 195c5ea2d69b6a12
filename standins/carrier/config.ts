/** Configuration of the process, from the environment; every problem is reported at once. */
import { z } from 'zod'
import { faultSchema } from './faults.ts'

const json = z.string().transform((text, context) => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    context.addIssue('is not JSON')
    return z.NEVER
  }
})

const environment = z.object({
  PORT: z.coerce.number().int().min(0).max(65_535).default(4020),
  HOST: z.string().min(1).default('127.0.0.1'),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  DATA_FILE: z.string().min(1).default('.data/carrier/book.jsonl'),
  PUBLIC_URL: z
    .url()
    .transform((url) => url.replace(/\/+$/, ''))
    .optional(),
  REFUND_DELAY_MS: z.coerce.number().int().min(0).default(60_000),
  FAULTS: json.pipe(z.array(faultSchema)).default([]),
})

export type CarrierConfig = Readonly<z.output<typeof environment>>

/** @throws Error whose message lists every problem of the environment. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): CarrierConfig {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
  const parsed = environment.safeParse(given)
  if (parsed.success) return Object.freeze(parsed.data)
  const problems = parsed.error.issues.map(({ path, message }) => `  ${path.join('.')}: ${message}`)
  throw new Error(`The configuration is not usable:\n${problems.join('\n')}`)
}
