/**
 * What a request must look like before any rule is asked: fields, types and block tags.
 *
 * The schema only judges. The rest of the server reads the body as it came, because the prompt
 * cache and the signatures depend on what the client really sent.
 */

import { z } from 'zod'
import { invalidRequest } from './api-error.ts'

const cacheControl = z
  .looseObject({ type: z.literal('ephemeral'), ttl: z.enum(['5m', '1h']).optional() })
  .nullish()

const textBlock = z.looseObject({
  type: z.literal('text'),
  text: z.string(),
  cache_control: cacheControl,
})

/** Tags that pass unread: this server has no eyes, no files and no server-side tools. */
const unreadTags = [
  'image',
  'document',
  'search_result',
  'server_tool_use',
  'web_search_tool_result',
  'web_fetch_tool_result',
  'code_execution_tool_result',
  'bash_code_execution_tool_result',
  'text_editor_code_execution_tool_result',
  'tool_search_tool_result',
  'tool_reference',
  'container_upload',
] as const

const contentBlock = z.discriminatedUnion('type', [
  textBlock,
  z.looseObject({ type: z.literal('thinking'), thinking: z.string(), signature: z.string() }),
  z.looseObject({ type: z.literal('redacted_thinking'), data: z.string() }),
  z.looseObject({
    type: z.literal('tool_use'),
    id: z.string().regex(/^[a-zA-Z0-9_-]+$/),
    name: z.string().min(1).max(200),
    input: z.record(z.string(), z.unknown()),
    cache_control: cacheControl,
  }),
  z.looseObject({
    type: z.literal('tool_result'),
    tool_use_id: z.string(),
    content: z.union([z.string(), z.array(z.looseObject({ type: z.string() }))]).optional(),
    is_error: z.boolean().optional(),
    cache_control: cacheControl,
  }),
  ...unreadTags.map((tag) => z.looseObject({ type: z.literal(tag), cache_control: cacheControl })),
])

const message = z.looseObject({
  role: z.enum(['user', 'assistant', 'system']),
  content: z.union([z.string(), z.array(contentBlock)]),
})

const tool = z.looseObject({
  name: z.string(),
  type: z.string().nullish(),
  description: z.string().optional(),
  input_schema: z.looseObject({ type: z.string() }).optional(),
  strict: z.boolean().optional(),
  cache_control: cacheControl,
})

const countRequest = z.looseObject({
  model: z.string().min(1),
  messages: z.array(message).min(1).max(100_000),
  system: z.union([z.string(), z.array(textBlock)]).optional(),
  tools: z.array(tool).max(1_000).optional(),
  tool_choice: z
    .discriminatedUnion('type', [
      z.looseObject({ type: z.enum(['auto', 'any']) }),
      z.looseObject({ type: z.literal('tool'), name: z.string() }),
      z.looseObject({ type: z.literal('none') }),
    ])
    .optional(),
  thinking: z
    .looseObject({
      type: z.enum(['adaptive', 'between_tools', 'disabled', 'enabled']),
      display: z.enum(['summarized', 'omitted']).nullish(),
    })
    .optional(),
  output_config: z
    .looseObject({
      effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).nullish(),
      format: z
        .looseObject({
          type: z.literal('json_schema'),
          schema: z.record(z.string(), z.unknown()),
        })
        .nullish(),
    })
    .optional(),
  cache_control: cacheControl,
})

const messagesRequest = countRequest.extend({
  max_tokens: z.int().min(0),
  stream: z.boolean().optional(),
})

export type ContentBlockIn = z.infer<typeof contentBlock>
export type MessageIn = z.infer<typeof message>
export type CountRequest = z.infer<typeof countRequest>
export type MessagesRequest = z.infer<typeof messagesRequest>

/** A well-formed body of `POST /v1/messages`. Throws 400 naming the first field that is wrong. */
export function parseMessagesRequest(body: unknown): MessagesRequest {
  return judge(messagesRequest, body)
}

/** A well-formed body of `POST /v1/messages/count_tokens`. Throws as parseMessagesRequest does. */
export function parseCountRequest(body: unknown): CountRequest {
  return judge(countRequest, body)
}

function judge<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body)
  if (result.success) return body as T // judged, not transformed: see the top of this file
  const { path, message } = deepest(result.error.issues[0], [])
  const text = message.endsWith('received undefined') ? 'Field required' : message
  throw invalidRequest(path.length === 0 ? text : `${path.join('.')}: ${text}`)
}

type Problem = { readonly path: readonly PropertyKey[]; readonly message: string }

/** The most specific complaint: of a union's branches, the one that got furthest into the value. */
function deepest(issue: z.core.$ZodIssue | undefined, base: readonly PropertyKey[]): Problem {
  if (issue === undefined) return { path: base, message: 'Invalid request' }
  const path = [...base, ...issue.path]
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) {
    return { path, message: issue.message }
  }
  const branches = issue.errors.map((issues) => deepest(issues[0], path))
  return branches.reduce((best, next) => (next.path.length > best.path.length ? next : best))
}
