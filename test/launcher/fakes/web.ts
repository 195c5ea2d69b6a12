/** A tiny process of a platform: ready at once unless its environment says otherwise. */
import { createServer } from 'node:http'

const { PORT, FAKE = '' } = process.env
const say = (line: string) => process.stdout.write(`${line}\n`)
say(JSON.stringify({ level: 'info', time: Date.now(), msg: 'starting', port: PORT }))
if (FAKE === 'broken') {
  say('DATABASE_URL: required')
  process.exit(3)
}
if (FAKE === 'stubborn') process.on('SIGTERM', () => say('not now'))

createServer((request, response) => {
  if (request.url === '/readyz') response.writeHead(FAKE === 'unready' ? 503 : 200).end()
  else if (request.url === '/env') response.end(JSON.stringify(process.env))
  else process.exit(7)
}).listen(Number(PORT), '127.0.0.1')
