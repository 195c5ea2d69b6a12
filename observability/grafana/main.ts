/** `npm run dashboards`: writes the JSON files of the dashboards anew. */
import { writeFile } from 'node:fs/promises'
import { dashboardFiles, dashboardsFolder } from './files.ts'

for (const [name, text] of Object.entries(dashboardFiles())) {
  await writeFile(new URL(name, dashboardsFolder), text)
}
