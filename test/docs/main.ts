/** `npm run docs`: writes the generated parts of the documents anew. */
import { readFile, writeFile } from 'node:fs/promises'
import { withAccessTable } from './access-table.ts'
import { withMetricsTables } from './metrics-table.ts'

const generated = { 'security.md': withAccessTable, 'metrics.md': withMetricsTables }
for (const [name, write] of Object.entries(generated)) {
  const file = new URL(`../../docs/${name}`, import.meta.url)
  await writeFile(file, write(await readFile(file, 'utf8')))
}
