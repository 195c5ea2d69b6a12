/**
 * The agent loop: a model, its read-only tools, and limits on everything. It never throws for what
 * a model does: it answers with a verdict, or says why rules must decide.
 *
 *     task ─▶ turn ─▶ tool calls, in parallel ─▶ turn ─▶ ... ─▶ verdict (JSON, checked by zod)
 *                                                        └─▶ one repair turn ─▶ rules
 */
import type { z } from 'zod'
import { AgentLoop } from './agent-loop.ts'
import type { AgentDeps, AgentDraft, AgentRun, AgentSpec, AgentTool } from './agent-types.ts'
import { deadline } from './resilience.ts'
import { attribute, operation } from './trace-attributes.ts'
import { inSpan } from './tracing.ts'

/**
 * Takes the first turn of a run and pauses, so that a model can ask its questions while their
 * answers are still being found. Null when the model gave no first turn: then start from nothing.
 */
export async function openAgent<V extends z.ZodObject>(
  deps: AgentDeps,
  spec: AgentSpec<V>,
  tools: readonly AgentTool[],
  task: object,
  signal: AbortSignal,
): Promise<AgentDraft | null> {
  const until = deadline(spec.limits.runMs, signal)
  return inSpan(`invoke_agent ${spec.name}`, attributesOf(spec.name, task), () =>
    new AgentLoop(deps, spec, tools, task, until).toDraft(),
  )
}

/**
 * Runs one agent to its verdict, from the start or from a draft made with the same `spec`, `tools`
 * and `task`. `task` holds ids only: free text of an order comes by tools.
 */
export async function runAgent<V extends z.ZodObject>(
  deps: AgentDeps,
  spec: AgentSpec<V>,
  tools: readonly AgentTool[],
  task: object,
  signal: AbortSignal,
  draft: AgentDraft | null = null,
): Promise<AgentRun<z.output<V>>> {
  // The draft is part of the run: together they have its time.
  const leftMs = Math.max(1, spec.limits.runMs - (draft?.record.durationMs ?? 0))
  const until = deadline(leftMs, signal)
  const run = new AgentLoop(deps, spec, tools, task, until, draft)
  const result = await inSpan(
    `invoke_agent ${spec.name}`,
    attributesOf(spec.name, task),
    async (span) => {
      const ended = await run.toEnd()
      if (ended.by === 'rules') span?.fail(ended.reason.code)
      return ended
    },
  )
  const { mode } = deps.model
  const repaired = result.by === 'agent' && result.record.repaired
  const holds = result.by === 'rules' && spec.holdsWithout?.(result.reason) === true
  const without = holds ? 'held' : 'rules'
  const outcome = result.by === 'rules' ? without : repaired ? 'repaired' : 'verdict'
  deps.metrics.agentOutcomes.inc({ outcome, mode })
  deps.metrics.agentTurns.observe({ mode }, result.record.turns)
  if (result.by === 'rules') {
    deps.log.warn({ agent: spec.name, task, reason: result.reason }, 'agent gave no verdict')
  }
  return result
}

const attributesOf = (name: string, task: object) => {
  const { orderId } = task as { orderId?: unknown }
  return {
    [attribute.genAiOperation]: operation.agent,
    [attribute.genAiAgent]: name,
    [attribute.genAiConversation]: typeof orderId === 'string' ? orderId : undefined,
  }
}
