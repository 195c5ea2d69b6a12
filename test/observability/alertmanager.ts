/** A real Alertmanager with our routes, in a hurry, and the webhook that it calls. */

import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { startProgram } from './program.ts'
import { observabilityDir } from './rule-files.ts'

const labels = z.record(z.string(), z.string())
const notice = z.object({
  receiver: z.string(),
  alerts: z.array(
    z.object({ status: z.enum(['firing', 'resolved']), labels, annotations: labels }),
  ),
})

export interface Notice {
  readonly receiver: string
  readonly status: 'firing' | 'resolved'
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

export interface Alertmanager extends AsyncDisposable {
  /** What the webhook was told, oldest first. */
  readonly notices: readonly Notice[]
}

const committedUrl = 'http://alert-receiver:9095'

/** The webhook listens one port above Alertmanager. */
export async function startAlertmanager(dir: string, port: number): Promise<Alertmanager> {
  const notices: Notice[] = []
  await using undo = new AsyncDisposableStack()
  const webhook = createServer((request, response) => {
    text(request)
      .then((body) => {
        const { receiver, alerts } = notice.parse(JSON.parse(body))
        for (const alert of alerts) notices.push({ receiver, ...alert })
        response.end()
      })
      .catch(() => response.writeHead(400).end())
  })
  await new Promise<void>((resolve, reject) => {
    webhook.once('error', reject).listen(port + 1, '127.0.0.1', resolve)
  })
  undo.defer(() => {
    webhook.close()
    webhook.closeAllConnections()
  })

  const committed = join(observabilityDir, 'alertmanager/alertmanager.yml')
  const config = (await readFile(committed, 'utf8'))
    .replaceAll(committedUrl, `http://127.0.0.1:${port + 1}`)
    .replace(/group_wait: .*/, 'group_wait: 1s')
    .replace(/group_interval: .*/, 'group_interval: 1s')
  const file = join(dir, 'alertmanager.yml')
  await writeFile(file, config)
  const program = await startProgram(
    'prometheus-alertmanager',
    [
      `--config.file=${file}`,
      `--storage.path=${join(dir, 'alertmanager')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--cluster.listen-address=',
      '--log.level=warn',
    ],
    `http://127.0.0.1:${port}/-/ready`,
  )
  undo.use(program)
  const running = undo.move()
  return { notices, [Symbol.asyncDispose]: () => running.disposeAsync() }
}
