/** A launcher in a process of its own, so that a test can kill it: data dir and port offset. */
import { startPlatform } from '../../../launcher/platform.ts'
import { fakeSpecs } from './specs.ts'

const [dataDir = '', portOffset = ''] = process.argv.slice(2)
await startPlatform({
  dataDir,
  portOffset: Number(portOffset),
  durable: false,
  claude: { mode: 'standin' },
  specs: fakeSpecs(Number(portOffset)),
})
process.stdout.write('ready\n')
