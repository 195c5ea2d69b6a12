/** Reads the arguments of a tool or prompt, whichever way they came. */
import type { z } from 'zod'
import { invalid } from './errors.ts'

/** @throws invalid `invalid_arguments`, which names the first that does not fit. */
export function readArguments<S extends z.ZodObject>(
  contract: { readonly name: string; readonly input: S },
  given: unknown,
  next: string,
): z.output<S> {
  const { name, input } = contract
  const parsed = input.safeParse(given ?? {})
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const where = issue === undefined ? '' : `${issue.path.map(String).join('.')}: ${issue.message}`
  throw invalid('invalid_arguments', `The arguments of ${name} are not valid: ${where}`, { next })
}
