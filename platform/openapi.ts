/**
 * Builds the OpenAPI 3.1 document of a process from its operations. Pure: zod schemas in, one JSON
 * document out (https://spec.openapis.org/oas/v3.1.1).
 */
import { z } from 'zod'
import { type Answer, jsonType, type Operation, problemSchema } from './openapi-operation.ts'
import { refusalsOf, sharedResponses } from './openapi-refusals.ts'

type Json = Readonly<Record<string, unknown>>

export interface ApiDescription {
  readonly title: string
  readonly version: string
  readonly description: string
  /** As callers reach it. */
  readonly serverUrl: string
  /** Where they get access tokens by client credentials. */
  readonly tokenUrl: string
  readonly operations: readonly Operation[]
  /** Schemas that get a name; wherever an operation uses one, it is referred to. */
  readonly schemas: Readonly<Record<string, z.ZodType>>
  /** What a scope lets a client do; of others the document says which operations want them. */
  readonly scopes: Readonly<Record<string, string>>
}

export interface OpenApiDocument {
  readonly openapi: '3.1.0'
  readonly info: Json
  readonly paths: Readonly<Record<string, Readonly<Record<string, Json>>>>
  readonly [member: string]: unknown
}

const dialect = 'https://json-schema.org/draft/2020-12/schema'

/** The document; `Problem` is among its schemas whatever the operations. */
export function buildOpenApi(api: ApiDescription): OpenApiDocument {
  const named = { Problem: problemSchema, ...api.schemas }
  const refs = new Map<z.ZodType, Json>(
    Object.entries(named).map(([name, schema]) => [schema, refOf(name)]),
  )
  const schemaOf: SchemaOf = (schema, io) => refs.get(schema) ?? toSchema(schema, io)
  const paths: Record<string, Record<string, Json>> = {}
  for (const operation of api.operations) {
    const path = paths[operation.path] ?? {}
    paths[operation.path] = path
    path[operation.method] = operationOf(operation, schemaOf)
  }
  const schemas = Object.entries(named).map(([name, schema]) => [name, toSchema(schema, 'output')])
  return {
    openapi: '3.1.0',
    jsonSchemaDialect: dialect,
    info: { title: api.title, version: api.version, description: api.description },
    servers: [{ url: api.serverUrl }],
    paths,
    components: {
      schemas: Object.fromEntries(schemas),
      responses: sharedResponses,
      securitySchemes: securitySchemes(api),
    },
  }
}

type SchemaOf = (schema: z.ZodType, io: 'input' | 'output') => Json
const refOf = (name: string): Json => ({ $ref: `#/components/schemas/${name}` })

function toSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io })
  return rest
}

function operationOf(operation: Operation, schemaOf: SchemaOf): Json {
  const { operationId, summary, description, tag, access, body } = operation
  const parameters = [
    ...parametersIn('path', operation.pathParameters),
    ...parametersIn('query', operation.query),
    ...parametersIn('header', operation.headers),
  ]
  const answers = Object.entries(operation.answers).map(([status, answer]) => [
    status,
    responseOf(answer, schemaOf),
  ])
  return {
    operationId,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    security: securityOf(access),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: requestBodyOf(body, schemaOf) }),
    responses: { ...refusalsOf(operation), ...Object.fromEntries(answers) },
  }
}

function securityOf(access: Operation['access']): Json[] {
  if (access === 'open') return []
  const scopes = access === 'token' ? [] : [access.scope]
  return [{ bearer: scopes }, { clientCredentials: scopes }]
}

function parametersIn(place: 'path' | 'query' | 'header', schema: z.ZodObject | undefined): Json[] {
  if (schema === undefined) return []
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: 'input' })
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...rest } = property as Record<string, unknown>
    return {
      name,
      in: place,
      required: required.includes(name),
      ...(description === undefined ? {} : { description }),
      schema: rest,
    }
  })
}

function requestBodyOf(body: NonNullable<Operation['body']>, schemaOf: SchemaOf): Json {
  const examples = Object.entries(body.examples ?? {}).map(([name, value]) => [name, { value }])
  const media = {
    schema: schemaOf(body.schema, 'input'),
    ...(examples.length === 0 ? {} : { examples: Object.fromEntries(examples) }),
  }
  return { required: body.required ?? true, content: { [body.mediaType ?? jsonType]: media } }
}

function responseOf({ description, content, headers }: Answer, schemaOf: SchemaOf): Json {
  const media = Object.entries(content ?? {}).map(([type, schema]) => [
    type,
    { schema: schemaOf(schema, 'output') },
  ])
  const named = Object.entries(headers ?? {}).map(([name, text]) => [
    name,
    { description: text, required: true, schema: { type: 'string' } },
  ])
  return {
    description,
    ...(named.length === 0 ? {} : { headers: Object.fromEntries(named) }),
    ...(media.length === 0 ? {} : { content: Object.fromEntries(media) }),
  }
}

function securitySchemes({ operations, scopes, serverUrl, tokenUrl }: ApiDescription): Json {
  const wanted = new Map<string, string[]>()
  for (const { access, operationId } of operations) {
    if (typeof access === 'string') continue
    wanted.set(access.scope, [...(wanted.get(access.scope) ?? []), operationId])
  }
  const described = [...wanted].map(([scope, ids]) => [scope, `For ${ids.join(', ')}`])
  return {
    bearer: {
      type: 'http',
      scheme: 'bearer',
      bearerFormat: 'JWT',
      description: `An access token (RFC 9068) whose audience is ${serverUrl}`,
    },
    clientCredentials: {
      type: 'oauth2',
      flows: {
        clientCredentials: { tokenUrl, scopes: { ...Object.fromEntries(described), ...scopes } },
      },
    },
  }
}
