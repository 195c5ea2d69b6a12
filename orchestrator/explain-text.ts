/** An explanation as plain text, to be read out by a person. */
import { printable } from '../platform/tool.ts'
import type { ExplainedStep, Explanation } from './explain.ts'

const wrapAt = 100

export function explanationText(explained: Explanation): string {
  const { orderId, status, code, why, next, decision, findings, total, mode } = explained
  const simulated = mode === 'standin' ? ', simulated' : ''
  const seconds = (total.durationMs / 1_000).toFixed(1)
  return [
    `Order ${orderId}: ${status}${code === null ? '' : ` (${code})`}`,
    ...wrapped(why, ''),
    ...(next === undefined ? [] : wrapped(`Next: ${next}`, '')),
    ...(decision === undefined
      ? []
      : ['', `Decided by ${decision.by}:`, ...decision.reasons.flatMap((r) => wrapped(r, '  '))]),
    ...(findings.length === 0 ? [] : ['', 'The rules object:']),
    ...findings.flatMap(({ code: finding, message }) => wrapped(`${finding}: ${message}`, '  ')),
    '',
    'Step by step:',
    ...explained.steps.flatMap((step) => stepLines(step, explained)),
    '',
    `In all ${seconds} s, ${total.tokens} model tokens, ${total.costUsd} USD${simulated}.`,
    `Trace ${explained.traceId}`,
    '',
  ].join('\n')
}

function stepLines(step: ExplainedStep, { steps }: Explanation): string[] {
  const hasRounds = steps.some(({ round }) => round > 1)
  const round = hasRounds ? `round ${step.round}, ` : ''
  const attempts = step.attempts === 1 ? '' : `, ${step.attempts} attempts`
  const { error, proposal, agent } = step
  return [
    `- ${step.step} (${round}${step.service}): ${step.state}, ${step.durationMs} ms${attempts}`,
    ...(error === undefined ? [] : wrapped(`${error.code}: ${error.message}`, '    ')),
    ...(proposal === undefined ? [] : proposalLines(proposal)),
    ...(agent === undefined ? [] : agentLines(agent)),
  ]
}

function proposalLines(proposal: NonNullable<ExplainedStep['proposal']>): string[] {
  const { by, verdict, reasons, insteadOfAgent, findings } = proposal
  const said = verdict === undefined ? '' : `: ${verdict}`
  return [
    `    ${by === 'rules' ? 'The rules' : 'The agent'} said${said}`,
    ...(insteadOfAgent === undefined
      ? []
      : wrapped(`no agent: ${insteadOfAgent.code}: ${insteadOfAgent.message}`, '      ')),
    ...reasons.flatMap((reason) => wrapped(reason, '      ')),
    ...findings.flatMap(({ code, message }) => wrapped(`${code}: ${message}`, '      ')),
  ]
}

function agentLines(agent: NonNullable<ExplainedStep['agent']>): string[] {
  const { model, insteadOf, turns, stopReason, tokens, costUsd, evidence } = agent
  return [
    `    ${model}: ${turns} turns, ${tokens} tokens, ${costUsd} USD, ended by ${stopReason}`,
    ...insteadOf.map(({ model: away, code }) => `      instead of ${away}: ${code}`),
    ...evidence.flatMap(({ tool, ok, found }) =>
      wrapped(
        `asked ${tool}${ok ? '' : ' (failed)'}${found === undefined ? '' : `: ${found}`}`,
        '      ',
      ),
    ),
  ]
}

/** Lines of at most about a hundred characters; a word that is longer stays whole. */
function wrapped(text: string, indent: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of printable(text).split(/\s+/)) {
    if (line !== '' && indent.length + line.length + 1 + word.length > wrapAt) {
      lines.push(indent + line)
      line = `  ${word}`
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, indent + line]
}
