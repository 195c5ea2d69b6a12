import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { withMetricsTables } from './metrics-table.ts'

/** The formatter pads tables and parts them from what is around. */
const squeezed = (text: string) =>
  text.replaceAll(/ +/g, ' ').replaceAll(/-{2,}/g, '--').replaceAll(/\n+/g, '\n')

describe('docs/metrics.md', () => {
  it('names what the registries hold; if not, npm run docs writes it anew', async () => {
    const file = new URL('../../docs/metrics.md', import.meta.url)
    const document = squeezed(await readFile(file, 'utf8'))

    assert.equal(document, squeezed(withMetricsTables(document)))
  })
})
