/** The rule files as data. */
import { globSync, readFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'

export const observabilityDir = resolve(import.meta.dirname, '../../observability')

const rule = z.object({
  record: z.string().optional(),
  alert: z.string().optional(),
  expr: z.string(),
  for: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
})
const ruleFile = z.object({ groups: z.array(z.object({ name: z.string(), rules: z.array(rule) })) })

export type Rule = z.infer<typeof rule>

export const ruleFiles = globSync(join(observabilityDir, 'prometheus/rules/*.yml')).sort()

export function readRules(): (Rule & { readonly file: string })[] {
  return ruleFiles.flatMap((path) =>
    ruleFile
      .parse(parse(readFileSync(path, 'utf8')))
      .groups.flatMap(({ rules }) => rules.map((one) => ({ ...one, file: basename(path) }))),
  )
}

/**
 * What an alert measures: its expression up to the threshold. Undefined for an alert without one, of
 * series that are absent.
 */
export function measureOf(expr: string): string | undefined {
  return /^(baton:\S+) (?:>=?|==) /.exec(expr)?.[1]
}
