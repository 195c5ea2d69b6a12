/** Programs that Debian packages bring: Prometheus, its tools, a browser. */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** By program, the package that brings it. `.ci/run` installs those that `npm test` asks for. */
const packages = {
  prometheus: 'prometheus',
  promtool: 'prometheus',
  'prometheus-alertmanager': 'prometheus-alertmanager',
  amtool: 'prometheus-alertmanager',
  chromium: 'chromium',
} as const

export type Program = keyof typeof packages

/**
 * The path of a program.
 *
 * @throws Error naming the package to install.
 */
export function programPath(program: Program): string {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const found = folders.map((folder) => join(folder, program)).find((path) => existsSync(path))
  if (found !== undefined) return found
  throw new Error(
    `${program} is missing: apt-get install --no-install-recommends ${packages[program]}`,
  )
}

/**
 * Why a test that needs these programs must be left out, or false.
 *
 * `npm test` is promised to run on any machine with Node, so a laptop without them skips and says so.
 * Where CI is set nothing may be skipped: the test then runs, and fails naming the package.
 */
export function skipWithout(...programs: readonly Program[]): string | false {
  if (process.env.CI !== undefined) return false
  for (const program of programs) {
    try {
      programPath(program)
    } catch (error) {
      return String(error)
    }
  }
  return false
}
