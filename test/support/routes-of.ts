/** The routes that a Fastify app really has, in the words of OpenAPI: `GET /orders/{id}`. */
import type { FastifyInstance } from 'fastify'

const line = /^(?<indent>[│ ]*)[├└]── (?<part>\S+) \((?<methods>[A-Z, ]+)\)$/
const indentOfLevel = 4

/**
 * Reads Fastify's own picture of its router, which it has no other list of. HEAD is left out, it
 * follows from GET; a route that takes every method (`/mcp`) refuses all but POST itself.
 */
export async function routesOf(app: FastifyInstance): Promise<string[]> {
  await app.ready()
  const parents: string[] = []
  const routes: string[] = []
  for (const text of app.printRoutes({ commonPrefix: false }).split('\n')) {
    if (text.trim() === '') continue
    const { indent = '', part = '', methods = '' } = line.exec(text)?.groups ?? {}
    if (part === '') throw new Error(`Not a line of a route: ${text}`)
    const level = indent.length / indentOfLevel
    const path = `${level === 0 ? '' : parents[level - 1]}${part}`
    parents[level] = path
    const names = methods.split(', ').filter((name) => name !== 'HEAD')
    const template = path.replaceAll(/:(\w+)/g, '{$1}')
    for (const name of names.includes('TRACE') ? ['POST'] : names)
      routes.push(`${name} ${template}`)
  }
  return routes.sort()
}
