import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { mayConnectTo } from '../system/network.ts'
import { withAccessTable } from './access-table.ts'

/** The formatter pads tables and parts them from what is around. */
const squeezed = (text: string) =>
  text.replaceAll(/ +/g, ' ').replaceAll(/-{2,}/g, '--').replaceAll(/\n+/g, '\n')

describe('docs/security.md', () => {
  const read = async () =>
    squeezed(await readFile(new URL('../../docs/security.md', import.meta.url), 'utf8'))

  it('says who may call what as the contracts do; if not, npm run docs writes it anew', async () => {
    const document = await read()

    assert.equal(document, squeezed(withAccessTable(document)))
  })

  it('says who may connect to whom as the network test does', async () => {
    const document = await read()

    for (const [from, to] of Object.entries(mayConnectTo)) {
      const peers = to.length === 0 ? 'nobody' : to.join(', ')
      assert.ok(document.includes(`| ${from} | ${peers} |`), `${from} → ${peers}`)
    }
  })
})
