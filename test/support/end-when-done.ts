/**
 * Loaded into every test process: ends it a while after its last test, should something it left
 * open keep it alive. Node's own --test-force-exit ends it before its last results are written.
 */
import { after } from 'node:test'

const graceMs = 5_000

// The runner itself loads this too, and has no tests of its own.
if (process.env.NODE_TEST_CONTEXT !== undefined) {
  after(() => {
    setTimeout(() => process.exit(), graceMs).unref()
  })
}
