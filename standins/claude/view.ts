/** From a request to what a policy may see of it. */

import type { Answer, View } from './policy.ts'
import { parseJson } from './policy.ts'
import type { CountRequest } from './request-shape.ts'
import type { Turn } from './turns.ts'

const taskPattern = /<task>([\s\S]*?)<\/task>/

/** The view of this request at this time. Tool results keep their text; parsing it is the policy's work. */
export function viewOf(request: CountRequest, turns: readonly Turn[]): View {
  return { offered: callableTools(request), task: taskOf(turns), answers: answersOf(turns) }
}

/** The client tools of the request; server-side ones cannot be called here. */
export function clientTools(request: CountRequest): ReadonlySet<string> {
  const names = new Set<string>()
  for (const tool of request.tools ?? []) {
    if (tool.type == null || tool.type === 'custom') names.add(tool.name)
  }
  return names
}

function callableTools(request: CountRequest): ReadonlySet<string> {
  return request.tool_choice?.type === 'none' ? new Set() : clientTools(request)
}

function taskOf(turns: readonly Turn[]): unknown {
  for (const { block } of turns[0]?.blocks ?? []) {
    if (block.type !== 'text') continue
    const json = taskPattern.exec(block.text)?.[1]
    if (json !== undefined) return parseJson(json) ?? null
  }
  return null
}

function answersOf(turns: readonly Turn[]): readonly Answer[] {
  const calls = new Map<string, { name: string; input: Readonly<Record<string, unknown>> }>()
  const answers: Answer[] = []
  for (const { blocks } of turns) {
    for (const { block } of blocks) {
      if (block.type === 'tool_use') calls.set(block.id, { name: block.name, input: block.input })
      if (block.type !== 'tool_result') continue
      const call = calls.get(block.tool_use_id)
      if (call === undefined) continue
      answers.push({ ...call, text: textOf(block.content), isError: block.is_error === true })
    }
  }
  return answers
}

function textOf(content: string | readonly { readonly type: string }[] | undefined): string {
  if (content === undefined || typeof content === 'string') return content ?? ''
  return content
    .map((block) => ('text' in block && typeof block.text === 'string' ? block.text : ''))
    .join('')
}
