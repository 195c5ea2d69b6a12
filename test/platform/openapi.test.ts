import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { z } from 'zod'
import * as orchestrator from '../../orchestrator/contract.ts'
import { buildOpenApi } from '../../platform/openapi.ts'
import { doorOperations } from '../../platform/openapi-doors.ts'
import { json, type Operation } from '../../platform/openapi-operation.ts'
import type { ToolContract } from '../../platform/tool.ts'
import * as fulfillment from '../../services/fulfillment/contract.ts'
import * as inventory from '../../services/inventory/contract.ts'
import * as order from '../../services/order/contract.ts'
import { assertValidOpenApi, checkAgainst } from '../support/openapi-check.ts'

const thing = z.strictObject({ id: z.string() })
const readThing: Operation = {
  ...{ method: 'get', path: '/things/{id}', operationId: 'readThing', tag: 'things' },
  summary: 'One thing',
  access: { scope: 'things:read' },
  pathParameters: z.object({ id: z.string().describe('Which one') }),
  query: z.object({ deep: z.coerce.boolean().default(false) }),
  headers: z.object({ 'If-None-Match': z.string().optional() }),
  answers: { 200: json('The thing', thing, { ETag: 'Its version' }), 304: { description: 'Same' } },
  refusals: { 404: ['no_such_thing'] },
}
const addThing: Operation = {
  ...{ method: 'post', path: '/things', operationId: 'addThing', tag: 'things', access: 'open' },
  summary: 'Another thing',
  body: { schema: z.object({ size: z.int().default(1) }) },
  answers: { 201: json('Added', thing) },
  refusals: { 400: ['too_small'], 409: [] },
}
const describeThings = (operations: readonly Operation[]) =>
  buildOpenApi({
    ...{ title: 'Things', version: '7', description: 'For a test', operations },
    ...{ serverUrl: 'http://things.example', tokenUrl: 'http://issuer.example/oauth/token' },
    schemas: { Thing: thing },
    scopes: { 'things:write': 'change things' },
  })

const isContract = (value: unknown): value is ToolContract =>
  typeof value === 'object' && value !== null && 'input' in value && 'output' in value

describe('a document of operations', () => {
  const document = describeThings([readThing, addThing])
  const { get } = document.paths['/things/{id}'] ?? {}
  const { post } = document.paths['/things'] ?? {}

  it('is valid, and says who, where and by which scopes', async () => {
    await assertValidOpenApi(document)

    assert.partialDeepStrictEqual(document, {
      openapi: '3.1.0',
      info: { title: 'Things', version: '7' },
      servers: [{ url: 'http://things.example' }],
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
          clientCredentials: {
            flows: {
              clientCredentials: {
                tokenUrl: 'http://issuer.example/oauth/token',
                scopes: { 'things:read': 'For readThing', 'things:write': 'change things' },
              },
            },
          },
        },
      },
    })
    assert.deepEqual(get?.security, [
      { bearer: ['things:read'] },
      { clientCredentials: ['things:read'] },
    ])
    assert.deepEqual(post?.security, [])
  })

  it('takes parameters from their schemas', () => {
    assert.deepEqual(get?.parameters, [
      {
        ...{ name: 'id', in: 'path', required: true, description: 'Which one' },
        schema: { type: 'string' },
      },
      { name: 'deep', in: 'query', required: false, schema: { type: 'boolean', default: false } },
      { name: 'If-None-Match', in: 'header', required: false, schema: { type: 'string' } },
    ])
  })

  it('refers to schemas that have a name, and tells what is sent from what is answered', () => {
    assert.partialDeepStrictEqual(post, {
      requestBody: {
        required: true,
        content: {
          'application/json': { schema: { type: 'object', properties: { size: { default: 1 } } } },
        },
      },
      responses: {
        201: {
          content: { 'application/json': { schema: { $ref: '#/components/schemas/Thing' } } },
        },
      },
    })
    assert.doesNotMatch(JSON.stringify(post?.requestBody), /"required":\["size"\]/)
  })

  it('adds the refusals that come with a token and with a body', () => {
    const statuses = (operation: object | undefined) =>
      Object.keys((operation as { responses: object }).responses)

    assert.deepEqual(statuses(get), [
      ...['200', '304', '400', '401', '403', '404', '414', '429', '500', '503'],
    ])
    assert.deepEqual(statuses(post), ['201', '400', '409', '413', '415'])
    assert.match(JSON.stringify(post), /"enum":\["too_small","malformed_request"\]/)
  })
})

describe('a document that answers are held against', () => {
  const api = checkAgainst(describeThings([readThing, addThing]))
  const traceId = '0'.repeat(32)
  const answer = (status: number, body: object, headers: Record<string, string> = {}) =>
    api.check({
      ...{ method: 'GET', url: '/things/1', status, text: JSON.stringify(body) },
      headers: {
        'content-type': status < 400 ? 'application/json' : 'application/problem+json',
        etag: '1',
        ...headers,
      },
    })
  const refusal = (code: string) => ({
    ...{ type: `urn:baton:problem:${code}`, title: 'No', status: 404, code, traceId },
  })

  it('finds a field, a status, a type, a header and a code that it does not know', () => {
    answer(200, { id: '1' })
    answer(404, refusal('no_such_thing'))
    assert.throws(() => answer(200, { id: '1', more: true }), /additionalProperties/)
    assert.throws(() => answer(200, {}), /required/)
    assert.throws(() => answer(202, { id: '1' }), /no 202/)
    assert.throws(() => answer(200, { id: '1' }, { 'content-type': 'text/html' }), /text\/html/)
    assert.throws(() => answer(200, { id: '1' }, { etag: '' }), /without ETag/)
    assert.throws(() => answer(404, refusal('lost')), /enum/)
    assert.throws(() => answer(304, { id: '1' }), /304/)
    assert.deepEqual(api.unseen(), ['addThing'])
  })
})

describe('the documents of the processes', () => {
  for (const [name, contract] of Object.entries({ orchestrator, order, inventory, fulfillment })) {
    it(`has every tool of ${name}, with its schemas, and is valid`, async () => {
      const contracts = Object.values<unknown>(contract).filter(isContract)
      const document = describeThings(
        doorOperations(contracts, '/.well-known/oauth-protected-resource'),
      )

      await assertValidOpenApi(document)
      assert.ok(contracts.length > 0)
      for (const { name: tool, description, scope } of contracts) {
        assert.partialDeepStrictEqual(document.paths[`/invoke/${tool}`], {
          post: { description, security: [{ bearer: [scope] }, { clientCredentials: [scope] }] },
        })
      }
    })
  }
})
