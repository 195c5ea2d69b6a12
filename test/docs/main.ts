/** `npm run docs`: writes the generated parts of the documents anew. */
import { readFile, writeFile } from 'node:fs/promises'
import { withAccessTable } from './access-table.ts'

const security = new URL('../../docs/security.md', import.meta.url)
await writeFile(security, withAccessTable(await readFile(security, 'utf8')))
