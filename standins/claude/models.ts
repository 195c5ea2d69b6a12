/**
 * The models the stand-in answers for, and what each of them refuses.
 *
 * Where the vendor's documents are silent (budgets and `between_tools` on Haiku) the stricter rule
 * was chosen, so that a request that passes here does not fail there.
 */

import type { ModelInfo } from '@anthropic-ai/sdk/resources/models'

export type ModelLine = 'haiku' | 'sonnet' | 'opus'
type ThinkingType = 'adaptive' | 'between_tools' | 'disabled' | 'enabled'

export type StandinModel = {
  readonly id: string
  readonly line: ModelLine
  readonly displayName: string
  readonly createdAt: string
  readonly thinking: readonly ThinkingType[]
  /** Whether `tool_choice` `any` and `tool` are accepted. */
  readonly forcedTools: boolean
}

export const contextTokensMax = 1_000_000
export const outputTokensMax = 128_000

/** Newest first, as the API lists them. */
export const models: readonly StandinModel[] = [
  {
    id: 'claude-haiku-5-5',
    line: 'haiku',
    displayName: 'Claude Haiku 5.5 (stand-in)',
    createdAt: '2026-10-07T00:00:00Z',
    thinking: ['adaptive', 'disabled'],
    forcedTools: true,
  },
  {
    id: 'claude-sonnet-5-5',
    line: 'sonnet',
    displayName: 'Claude Sonnet 5.5 (stand-in)',
    createdAt: '2026-09-28T00:00:00Z',
    thinking: ['adaptive', 'between_tools'],
    forcedTools: false,
  },
  {
    id: 'claude-opus-5-5',
    line: 'opus',
    displayName: 'Claude Opus 5.5 (stand-in)',
    createdAt: '2026-09-22T00:00:00Z',
    thinking: ['adaptive'],
    forcedTools: false,
  },
]

const byId = new Map(models.map((model) => [model.id, model]))

/** The model of this exact id, or undefined: there are no aliases. */
export function findModel(id: string): StandinModel | undefined {
  return byId.get(id)
}

const yes = { supported: true }
const no = { supported: false }

/** The model as `GET /v1/models/:id` describes it. Server-side tools, batches and files: none here. */
export function modelInfo(model: StandinModel): ModelInfo {
  const thinks = (type: ThinkingType) => ({ supported: model.thinking.includes(type) })
  return {
    type: 'model',
    id: model.id,
    display_name: model.displayName,
    line: model.line,
    lifecycle: 'active',
    created_at: model.createdAt,
    deprecated_at: null,
    retires_at: null,
    max_input_tokens: contextTokensMax,
    max_tokens: outputTokensMax,
    capabilities: {
      batch: no,
      citations: no,
      code_execution: no,
      context_management: {
        supported: false,
        clear_thinking_20251015: null,
        clear_tool_uses_20250919: null,
        compact_20260112: null,
      },
      effort: { supported: true, low: yes, medium: yes, high: yes, xhigh: yes, max: yes },
      image_input: no,
      pdf_input: no,
      server_tools: { supported: false, code_execution: no, web_search: no },
      structured_outputs: yes,
      thinking: {
        supported: true,
        types: {
          adaptive: thinks('adaptive'),
          between_tools: thinks('between_tools'),
          disabled: thinks('disabled'),
          enabled: thinks('enabled'),
        },
      },
    },
  }
}
