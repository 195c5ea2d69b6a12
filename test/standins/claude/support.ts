/** A stand-in on a port of its own, the real SDK in front of it, and a small agent loop. */

import assert from 'node:assert/strict'
import Anthropic from '@anthropic-ai/sdk'
import { transformJSONSchema } from '@anthropic-ai/sdk/lib/transform-json-schema'
import { z } from 'zod'
import { createClaudeStandin } from '../../../standins/claude/app.ts'
import type { FaultIn } from '../../../standins/claude/faults.ts'
import type { JournalEntry } from '../../../standins/claude/journal.ts'
import type { ClaudeStandinOptions } from '../../../standins/claude/standin.ts'

export type Harness = AsyncDisposable & {
  readonly url: string
  readonly client: Anthropic
  readonly script: (...faults: FaultIn[]) => Promise<void>
  readonly journal: () => Promise<{ inFlight: number; entries: JournalEntry[] }>
}

/** Starts a stand-in; the client retries nothing, so that every fault is seen. */
export async function startStandin(options: ClaudeStandinOptions = {}): Promise<Harness> {
  const app = createClaudeStandin(options)
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    url,
    client: new Anthropic({ apiKey: 'offline', baseURL: url, maxRetries: 0, logLevel: 'off' }),
    script: async (...faults) => {
      const response = await fetch(`${url}/faults`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ faults }),
      })
      assert.equal(response.status, 200, await response.text())
    },
    journal: async () => (await fetch(`${url}/journal`)).json() as never,
    [Symbol.asyncDispose]: () => app.close(),
  }
}

/** Asks again until the answer is yes; each question is a round trip, so this does not spin. */
export async function until(question: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 5_000
  while (!(await question())) assert.ok(performance.now() < deadline, 'waited 5 s in vain')
}

/** By tool name: see LoopInput. */
export type ToolAnswers = Readonly<Record<string, unknown>>

type LoopInput = {
  readonly model: string
  readonly task: unknown
  /** By tool name: the answer, or a function of the input; a thrown error becomes an is_error result. */
  readonly answers: ToolAnswers
  readonly verdict: z.ZodType
  readonly stream?: boolean
  readonly toolChoice?: Anthropic.ToolChoice
}

export type LoopResult = {
  readonly verdict: Readonly<Record<string, unknown>>
  readonly messages: Anthropic.MessageParam[]
  readonly replies: Anthropic.Message[]
  /** The tool names called, by turn. */
  readonly calls: string[][]
}

const turnsMax = 12

/** Runs an agent as the platform does: offers the tools it has answers for, until a verdict comes. */
export async function runAgent(client: Anthropic, input: LoopInput): Promise<LoopResult> {
  const format = formatOf(input.verdict)
  const messages: Anthropic.MessageParam[] = [
    { role: 'user', content: `<task>${JSON.stringify(input.task)}</task>` },
  ]
  const replies: Anthropic.Message[] = []
  const calls: string[][] = []
  while (replies.length < turnsMax) {
    const reply = await ask(client, input, format, messages)
    replies.push(reply)
    messages.push({ role: 'assistant', content: reply.content as Anthropic.ContentBlockParam[] })
    if (reply.stop_reason === 'end_turn') {
      return { verdict: verdictOf(reply, input.verdict), messages, replies, calls }
    }
    assert.equal(reply.stop_reason, 'tool_use')
    const asked = reply.content.filter((block) => block.type === 'tool_use')
    calls.push(asked.map(({ name }) => name))
    messages.push({ role: 'user', content: asked.map((call) => resultOf(call, input.answers)) })
  }
  return assert.fail(`no verdict after ${turnsMax} turns`)
}

/** A zod schema as `output_config.format`, the way the SDK would send it. */
export function formatOf(schema: z.ZodType): Anthropic.JSONOutputFormat {
  return { type: 'json_schema', schema: transformJSONSchema(z.toJSONSchema(schema)) as never }
}

/** A tool that takes anything. */
export function toolNamed(name: string): Anthropic.Tool {
  return { name, description: `Test tool ${name}`, input_schema: { type: 'object' } }
}

/** The text of a reply's last text block. */
export function textOf(reply: Anthropic.Message): string {
  const block = reply.content.findLast(({ type }) => type === 'text')
  return block?.type === 'text' ? block.text : assert.fail('no text block')
}

async function ask(
  client: Anthropic,
  input: LoopInput,
  format: Anthropic.JSONOutputFormat,
  messages: Anthropic.MessageParam[],
): Promise<Anthropic.Message> {
  const params = {
    model: input.model,
    max_tokens: 4_000,
    system: 'You are an agent under test.',
    messages,
    tools: Object.keys(input.answers).map(toolNamed),
    output_config: { format },
    ...(input.toolChoice === undefined ? {} : { tool_choice: input.toolChoice }),
  }
  return input.stream === true
    ? client.messages.stream(params).finalMessage()
    : client.messages.create(params)
}

function verdictOf(reply: Anthropic.Message, schema: z.ZodType): LoopResult['verdict'] {
  return schema.parse(JSON.parse(textOf(reply))) as LoopResult['verdict']
}

function resultOf(
  { id, name, input }: Anthropic.ToolUseBlock,
  answers: ToolAnswers,
): Anthropic.ToolResultBlockParam {
  const answer = answers[name]
  try {
    const value = typeof answer === 'function' ? answer(input) : answer
    return { type: 'tool_result', tool_use_id: id, content: JSON.stringify(value) }
  } catch (error) {
    const content = error instanceof Error ? error.message : String(error)
    return { type: 'tool_result', tool_use_id: id, content, is_error: true }
  }
}
