/** What `npm start` prints once everything is ready. */
import type { ClaudeSetting } from './process-specs.ts'

export interface GreetingOptions {
  readonly orchestratorPort: number
  readonly claudeMode: ClaudeSetting['mode']
  readonly seconds: number
}

const order = '{"sku":"ABC123","qty":5,"customer":"John Doe"}'

/** Address, what is simulated, and an order to paste into a terminal. */
export function greeting({ orchestratorPort, claudeMode, seconds }: GreetingOptions): string {
  const url = `http://localhost:${orchestratorPort}`
  const standins =
    claudeMode === 'standin'
      ? 'Claude and the carrier are STAND-INS: answers are made by rules, costs are simulated,\n' +
        '  and no label is real. CLAUDE_MODE=live with ANTHROPIC_API_KEY asks the real Claude.'
      : 'Claude is LIVE: every order costs real money. The carrier is a STAND-IN: no label is real.'
  return `
  Baton is ready after ${seconds.toFixed(1)} s: ${url}

  ${standins}

  Try it:

  curl -s ${url}/orchestrate -H 'content-type: application/json' -d '${order}'

  Ctrl-C ends everything; the data stays for the next start.
`
}
