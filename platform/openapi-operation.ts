/**
 * What one operation of the HTTP surface takes and answers: written beside the routes, turned into
 * OpenAPI by `openapi.ts`. Schemas are zod, the same that the routes check with.
 */
import { z } from 'zod'

/** Who may ask: anybody, whoever has a token, or a token with this scope. */
export type Access = 'open' | 'token' | { readonly scope: string }

export interface Answer {
  readonly description: string
  /** By media type; an answer without a body has none. */
  readonly content?: Readonly<Record<string, z.ZodType>>
  /** Name to description. */
  readonly headers?: Readonly<Record<string, string>>
}

export interface Body {
  readonly schema: z.ZodType
  /** Default: true. */
  readonly required?: boolean
  /** Default: JSON. */
  readonly mediaType?: string
  readonly examples?: Readonly<Record<string, unknown>>
}

export interface Operation {
  readonly method: 'get' | 'post'
  /** An OpenAPI template: `/orders/{id}`. */
  readonly path: string
  readonly operationId: string
  readonly tag: string
  readonly summary: string
  readonly description?: string
  readonly access: Access
  readonly pathParameters?: z.ZodObject
  readonly query?: z.ZodObject
  readonly headers?: z.ZodObject
  readonly body?: Body
  readonly answers: Readonly<Record<number, Answer>>
  /**
   * The codes of its own refusals by status; none named: any. What every operation refuses (token,
   * rate, size, form) is added.
   */
  readonly refusals?: Readonly<Record<number, readonly string[]>>
  /** It refuses by another protocol's answers than problem documents; `answers` lists them all. */
  readonly ownRefusals?: true
}

/** What a process adds to the operations that all of them have. */
export interface ApiPart {
  readonly title: string
  readonly description: string
  readonly operations: readonly Operation[]
  /** Schemas that get a name in the document; operations use them as they are. */
  readonly schemas: Readonly<Record<string, z.ZodType>>
  /** What a scope lets a client do. */
  readonly scopes: Readonly<Record<string, string>>
  /** Its callers get tokens at its own address, whatever name the issuer has for services. */
  readonly issuesTokens?: boolean
}

export const jsonType = 'application/json'
export const problemType = 'application/problem+json'

/** An answer with a JSON body. */
export const json = (
  description: string,
  schema: z.ZodType,
  headers?: Readonly<Record<string, string>>,
): Answer => ({
  description,
  content: { [jsonType]: schema },
  ...(headers === undefined ? {} : { headers }),
})

/** Every refusal of ours: RFC 9457, with a stable `code` and what to do `next`. */
export const problemSchema = z
  .looseObject({
    type: z.string().regex(/^urn:baton:problem:[a-z0-9_]+$/),
    title: z.string().describe('What happened'),
    status: z.int().min(400).max(599),
    code: z
      .string()
      .regex(/^[a-z0-9_]+$/)
      .describe('Stable: decide by it'),
    next: z.string().optional().describe('What the caller can do'),
    traceId: z.string().regex(/^[0-9a-f]{32}$/),
  })
  .describe('RFC 9457, with more members where a refusal has details')
