/** Holds real answers against an OpenAPI document: what it does not say is a failure. */
import assert from 'node:assert/strict'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { OpenApiDocument } from '../../platform/openapi.ts'

export interface Exchange {
  readonly method: string
  /** Path and query. */
  readonly url: string
  /** As it was sent; undefined: none. */
  readonly sent?: unknown
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly text: string
}

export interface ApiCheck {
  /** Fails when the document does not foresee this answer, or for a body that was taken, the body. */
  check(exchange: Exchange): void
  /** Operations of which no success was checked. */
  unseen(): string[]
}

interface Content {
  readonly content?: Readonly<Record<string, unknown>>
}
interface Response extends Content {
  readonly $ref?: string
  readonly headers?: Readonly<Record<string, { readonly required?: boolean }>>
}
interface Described {
  readonly operationId: string
  readonly responses: Readonly<Record<string, Response>>
  readonly requestBody?: Content
}

/** Fails unless the document is valid OpenAPI 3.1. */
export async function assertValidOpenApi(document: OpenApiDocument): Promise<void> {
  const { valid, errors } = await new Validator().validate(structuredClone(document))
  assert.ok(valid, JSON.stringify(errors))
}

export function checkAgainst(document: OpenApiDocument): ApiCheck {
  const ajv = new Ajv2020({ strict: false, validateFormats: false, validateSchema: false })
  ajv.addSchema(document, 'api')
  const seen = new Set<string>()
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      pointer: `/paths/${escaped(path)}/${method}`,
      isTemplate: path.includes('{'),
      matches: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
      operation: operation as unknown as Described,
    })),
  )
  const assertFits = (pointer: string, mediaType: string, value: unknown, what: string) => {
    const $ref = `api#${pointer}/content/${escaped(mediaType)}/schema`
    const validate = ajv.getSchema($ref) ?? ajv.compile({ $ref })
    assert.ok(validate(value), `${what}: ${JSON.stringify(validate.errors)} of ${show(value)}`)
  }

  return {
    check({ method, url, sent, status, headers, text }) {
      const path = url.split('?')[0] ?? ''
      const [found] = operations
        .filter((one) => one.method === method && one.matches.test(path))
        .sort((a, b) => Number(a.isTemplate) - Number(b.isTemplate))
      assert.ok(found, `The document has no ${method} ${path}`)
      const what = `${status} of ${found.operation.operationId}`
      const given = found.operation.responses[status]
      assert.ok(given, `The document has no ${what}: ${text}`)
      const pointer = given.$ref?.slice(1) ?? `${found.pointer}/responses/${status}`
      const response = given.$ref === undefined ? given : responseAt(document, given.$ref)
      for (const [name, { required }] of Object.entries(response.headers ?? {})) {
        if (required) assert.ok(headers[name.toLowerCase()], `${what} comes without ${name}`)
      }
      if (response.content === undefined) return assert.equal(text, '', what)
      const mediaType = String(headers['content-type']).split(';')[0] ?? ''
      assert.ok(response.content[mediaType], `${what} comes as ${mediaType}`)
      assertFits(pointer, mediaType, mediaType.endsWith('json') ? JSON.parse(text) : text, what)
      if (status >= 300) return
      seen.add(found.operation.operationId)
      const body = found.operation.requestBody
      const [type] = Object.keys(body?.content ?? {})
      if (type === undefined || sent === undefined) return
      assertFits(`${found.pointer}/requestBody`, type, sent, `What ${what} took`)
    },
    unseen: () =>
      operations
        .map(({ operation }) => operation.operationId)
        .filter((operationId) => !seen.has(operationId)),
  }
}

/** RFC 6901 in a fragment. */
const escaped = (part: string): string =>
  encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))

function responseAt(document: OpenApiDocument, ref: string): Response {
  const name = ref.split('/').at(-1) ?? ''
  const { responses } = document.components as { responses: Record<string, Response> }
  const response = responses[name]
  assert.ok(response, `${ref} is nowhere`)
  return response
}

const show = (value: unknown): string => JSON.stringify(value).slice(0, 2_000)
