/** Uses everything that a server offers once, with arguments made from its schemas. */
import type { Client } from '@modelcontextprotocol/client'

const toolsMax = 100

export async function visit(client: Client): Promise<void> {
  const offers = client.getServerCapabilities() ?? {}
  const { tools } = await client.listTools()
  // An object argument gets the first tool's schema as we read it: a server may look what is left.
  const object = tools[0]?.inputSchema ?? {}
  // All at once: what one call is asked must not leak into another (SEP-2322).
  await Promise.all(
    tools.slice(0, toolsMax).map(({ name, inputSchema: { properties = {} } }) => {
      const example = (of: unknown) => examples[typeOf(of)] ?? object
      return client.callTool({ name, arguments: mapValues(properties, example) })
    }),
  )
  if (offers.resources) {
    const { resources } = await client.listResources()
    for (const { uri } of resources) await client.readResource({ uri })
  }
  if (offers.prompts) {
    const { prompts } = await client.listPrompts()
    for (const { name, arguments: wanted = [] } of prompts) {
      const values = Object.fromEntries(wanted.map((argument) => [argument.name, 'example']))
      await client.getPrompt({ name, arguments: values })
    }
  }
}

const examples: Readonly<Record<string, unknown>> = {
  string: 'example',
  number: 5,
  integer: 5,
  boolean: true,
  array: [],
}

const typeOf = (property: unknown) => (property as { type?: string }).type ?? 'string'

const mapValues = (record: object, map: (value: unknown) => unknown) =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]))
