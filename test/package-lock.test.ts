/** The lockfile works on every platform and names no download host. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'

interface Locked {
  readonly version?: string
  readonly resolved?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const file = new URL('../package-lock.json', import.meta.url)
const packages = Object.entries<Locked>(JSON.parse(readFileSync(file, 'utf8')).packages)

describe('the lockfile', () => {
  // npm leaves out an optional package that its registry does not have, and then `npm ci` refuses
  // the lockfile everywhere: packages of other platforms must be listed even where they are missing.
  it('lists the optional packages of every platform', () => {
    const names = new Set(packages.map(([path]) => path.split('node_modules/').at(-1)))
    const missing = packages.flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies)
        .filter((name) => !names.has(name))
        .map((name) => `${name} of ${path}`),
    )
    assert.deepEqual(missing, [])
  })

  it('names no download host', () => {
    const named = packages.filter(([, { resolved }]) => resolved?.startsWith('http'))
    assert.deepEqual(
      named.map(([path]) => path),
      [],
    )
  })
})
