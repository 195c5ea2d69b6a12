/** Which test files a command line means. */
import { globSync, statSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Files as they are, folders with every `*.test.ts` beneath, and globs; all tests when `paths` is
 * empty. Sorted, each once.
 *
 * @throws Error naming the path that matches no test: a misspelt one must not pass as a success.
 */
export function findTestFiles(paths: readonly string[]): string[] {
  const wanted = paths.length === 0 ? ['test'] : paths
  const files = wanted.flatMap((path) => {
    const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
    const found = globSync(isFolder ? join(path, '**/*.test.ts') : path)
    if (found.length === 0) throw new Error(`No test file matches ${path}`)
    return found
  })
  return [...new Set(files)].sort()
}
