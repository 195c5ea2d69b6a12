import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import type { Harness } from './support.ts'
import { startStandin, toolNamed } from './support.ts'

type Body = Record<string, unknown>

const haiku = 'claude-haiku-5-5'
const sonnet = 'claude-sonnet-5-5'
const opus = 'claude-opus-5-5'
const hello = { role: 'user', content: 'Hello' }
const called = {
  role: 'assistant',
  content: [{ type: 'tool_use', id: 't1', name: 'look', input: {} }],
}
const result = { type: 'tool_result', tool_use_id: 't1', content: '{}' }
const strictTool = (input_schema: object) => ({ name: 'look', strict: true, input_schema })
const objectOf = (properties: object, more: object = {}) => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
  ...more,
})

let standin: Harness
before(async () => {
  standin = await startStandin()
})
after(() => standin[Symbol.asyncDispose]())

const send = (body: Body) =>
  standin.client.messages.create({
    model: opus,
    max_tokens: 1000,
    messages: [hello],
    ...body,
  } as unknown as Anthropic.MessageCreateParamsNonStreaming)

/** Each refusal: what is refused, the request, and what the message must say. */
const refusals: readonly (readonly [string, Body, RegExp])[] = [
  ['a request without max_tokens', { max_tokens: undefined }, /max_tokens: Field required/],
  [
    'more max_tokens than the model has',
    { max_tokens: 128_001, stream: true },
    /max_tokens: 128001 > 128000/,
  ],
  ['a negative max_tokens', { max_tokens: -1 }, /max_tokens/],
  ['a conversation without messages', { messages: [] }, /messages/],
  ['an unknown field', { temprature: 1 }, /temprature: Extra inputs/],
  ['temperature', { temperature: 1 }, /temperature/],
  ['top_p', { top_p: 0.5 }, /top_p/],
  ['top_k', { top_k: 5, model: haiku }, /top_k/],

  ['any tool on Opus', { tools: [toolNamed('a')], tool_choice: { type: 'any' } }, /tool_choice/],
  [
    'any tool on Sonnet',
    { model: sonnet, tools: [toolNamed('a')], tool_choice: { type: 'any' } },
    /tool_choice/,
  ],
  [
    'a named tool on Opus',
    { tools: [toolNamed('a')], tool_choice: { type: 'tool', name: 'a' } },
    /tool_choice/,
  ],
  [
    'a choice of a tool that is not there',
    { model: haiku, tools: [toolNamed('a')], tool_choice: { type: 'tool', name: 'b' } },
    /not found/,
  ],
  ['a tool choice without tools', { tool_choice: { type: 'auto' } }, /tool_choice/],

  ['disabled thinking on Opus', { thinking: { type: 'disabled' } }, /thinking/],
  ['disabled thinking on Sonnet', { model: sonnet, thinking: { type: 'disabled' } }, /thinking/],
  [
    'disabled thinking on Haiku at effort max',
    { model: haiku, thinking: { type: 'disabled' }, output_config: { effort: 'max' } },
    /effort/,
  ],
  ['between_tools on Opus', { thinking: { type: 'between_tools' } }, /thinking/],
  [
    'between_tools on Sonnet at effort xhigh',
    { model: sonnet, thinking: { type: 'between_tools' }, output_config: { effort: 'xhigh' } },
    /effort/,
  ],
  ['a thinking budget', { thinking: { type: 'enabled', budget_tokens: 2048 } }, /thinking/],
  ['an unknown effort', { output_config: { effort: 'heroic' } }, /output_config.effort/],

  [
    'a prefilled answer',
    { messages: [hello, { role: 'assistant', content: 'The answer is' }] },
    /prefill/,
  ],
  [
    'a conversation that the assistant begins',
    { messages: [{ role: 'assistant', content: 'Hi' }, hello] },
    /first message/,
  ],
  [
    'empty text',
    { messages: [{ role: 'user', content: [{ type: 'text', text: '' }] }] },
    /messages.0.content.0.*non-empty/,
  ],
  [
    'an unknown block',
    { messages: [{ role: 'user', content: [{ type: 'smell' }] }] },
    /messages.0.content.0.type/,
  ],
  [
    'a tool call said by the user',
    { messages: [{ ...called, role: 'user' }] },
    /can only be in `assistant`/,
  ],
  [
    'a tool call without a result',
    { messages: [hello, called, hello] },
    /without `tool_result` blocks.*t1/,
  ],
  [
    'a tool result without a call',
    { messages: [{ role: 'user', content: [result] }] },
    /unexpected `tool_use_id`/,
  ],
  [
    'two results for one call',
    { messages: [hello, called, { role: 'user', content: [result, result] }] },
    /unexpected `tool_use_id`/,
  ],
  [
    'a result behind other content',
    {
      messages: [hello, called, { role: 'user', content: [{ type: 'text', text: 'so' }, result] }],
    },
    /must come before/,
  ],
  [
    'one id for two calls',
    {
      messages: [
        hello,
        called,
        { role: 'user', content: [result] },
        called,
        { role: 'user', content: [result] },
      ],
    },
    /unique/,
  ],

  ['a thread', { thread: { type: 'create' } }, /thread/],
  ['two tools of one name', { tools: [toolNamed('a'), toolNamed('a')] }, /unique/],
  ['a tool with a bad name', { tools: [toolNamed('a b')] }, /name/],
  ['a tool without a schema', { tools: [{ name: 'a' }] }, /input_schema/],
  [
    'a tool whose input is no object',
    { tools: [{ name: 'a', input_schema: { type: 'string' } }] },
    /object/,
  ],

  [
    'a strict tool with a minimum',
    { tools: [strictTool(objectOf({ n: { type: 'integer', minimum: 1 } }))] },
    /tools.0.custom.input_schema.properties.n: .*'minimum'/,
  ],
  [
    'a strict tool with a length',
    {
      tools: [
        strictTool(objectOf({ s: { type: 'array', items: { type: 'string', maxLength: 9 } } })),
      ],
    },
    /'maxLength'/,
  ],
  [
    'a strict tool that allows other properties',
    { tools: [strictTool({ type: 'object', properties: {} })] },
    /additionalProperties/,
  ],
  [
    'a strict tool with look-ahead in a pattern',
    { tools: [strictTool(objectOf({ s: { type: 'string', pattern: '^(?!a)' } }))] },
    /pattern/,
  ],
  [
    'more than 20 strict tools',
    {
      tools: Array.from({ length: 21 }, (_, i) => ({ ...strictTool(objectOf({})), name: `t${i}` })),
    },
    /20 strict tools/,
  ],
  [
    'more than 24 optional parameters',
    {
      tools: [
        strictTool(
          objectOf(
            Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`p${i}`, { type: 'string' }])),
            { required: [] },
          ),
        ),
      ],
    },
    /too many optional/,
  ],
  [
    'more than 16 unions',
    {
      tools: [
        strictTool(
          objectOf(
            Object.fromEntries(
              Array.from({ length: 17 }, (_, i) => [`p${i}`, { type: ['string', 'null'] }]),
            ),
          ),
        ),
      ],
    },
    /too many union/,
  ],
  [
    'an output format with a length',
    {
      output_config: {
        format: { type: 'json_schema', schema: objectOf({ s: { type: 'string', maxLength: 3 } }) },
      },
    },
    /output_config.format.schema.*'maxLength'/,
  ],

  ['a pre-warm that streams', { max_tokens: 0, stream: true }, /max_tokens: 0/],
  [
    'a pre-warm with an output format',
    { max_tokens: 0, output_config: { format: { type: 'json_schema', schema: objectOf({}) } } },
    /max_tokens: 0/,
  ],
  [
    'more than four cache marks',
    {
      system: Array.from({ length: 5 }, () => ({
        type: 'text',
        text: 'x',
        cache_control: { type: 'ephemeral' },
      })),
    },
    /maximum of 4/,
  ],
  [
    'a long-lived cache mark behind a short one',
    {
      cache_control: { type: 'ephemeral', ttl: '1h' },
      system: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } }],
    },
    /1h/,
  ],
  [
    'an unknown cache lifetime',
    { cache_control: { type: 'ephemeral', ttl: '2h' } },
    /cache_control.ttl/,
  ],
]

describe('the stand-in refuses with 400', () => {
  for (const [what, body, message] of refusals) {
    it(what, async () => {
      await assert.rejects(send(body), (error) => {
        assert.ok(error instanceof Anthropic.BadRequestError)
        assert.equal(error.type, 'invalid_request_error')
        assert.match(error.apiMessage ?? '', message)
        assert.match(error.requestID ?? '', /^req_standin_/)
        return true
      })
    })
  }

  it('a thread with the code that makes the SDK send everything again', async () => {
    await assert.rejects(send({ thread: { type: 'continue', id: 'x' }, messages: [] }), {
      errorCode: 'thread_unsupported_request',
    })
  })

  it('a prompt beyond the context window', async () => {
    await assert.rejects(send({ system: 'x'.repeat(3_300_000) }), {
      status: 400,
      apiMessage: /prompt is too long/,
    })
  })
})

describe('the stand-in refuses with 404', () => {
  it('a model it does not know', async () => {
    await assert.rejects(send({ model: 'claude-sonnet-4-5' }), (error) => {
      assert.ok(error instanceof Anthropic.NotFoundError)
      assert.equal(error.apiMessage, 'model: claude-sonnet-4-5')
      return true
    })
  })
})

describe('the stand-in accepts', () => {
  const accepted: readonly (readonly [string, Body])[] = [
    [
      'system messages in the conversation',
      { messages: [hello, { role: 'system', content: 'Be brief.' }] },
    ],
    [
      'results of one turn in two user messages',
      {
        messages: [
          hello,
          { role: 'assistant', content: [...called.content, { ...called.content[0], id: 't2' }] },
          { role: 'user', content: [result] },
          {
            role: 'user',
            content: [
              { ...result, tool_use_id: 't2' },
              { type: 'text', text: 'and?' },
            ],
          },
        ],
      },
    ],
    ['between_tools on Sonnet', { model: sonnet, thinking: { type: 'between_tools' } }],
    [
      'a strict tool with formats, enums, nulls and simple patterns',
      {
        tools: [
          strictTool(
            objectOf(
              {
                id: { type: 'string', format: 'uuid', pattern: '^[0-9a-f-]+$' },
                level: { type: 'string', enum: ['a', 'b'] },
                note: { anyOf: [{ type: 'string' }, { type: 'null' }] },
                list: { type: 'array', items: { $ref: '#/$defs/x' }, minItems: 1 },
              },
              { $defs: { x: objectOf({ y: { type: 'integer' } }) } },
            ),
          ),
        ],
      },
    ],
    [
      'any keyword in a tool that is not strict',
      { tools: [{ name: 'a', input_schema: { type: 'object', minProperties: 2 } }] },
    ],
    [
      'a server-side tool, which it never calls',
      { tools: [{ type: 'web_search_20260318', name: 'web_search' }] },
    ],
  ]
  for (const [what, body] of accepted) {
    it(what, async () => {
      assert.equal((await send(body)).stop_reason, 'end_turn')
    })
  }
})
