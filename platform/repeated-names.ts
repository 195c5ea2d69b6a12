/** A JSON object with one name twice means something else to every parser (RFC 7519, section 4). */

const tokens = /"(?:[^"\\]|\\.)*"|[{}[\]:,]/g

/** True when the outermost object of valid `json` has a name twice, however it is escaped. */
export function hasRepeatedNames(json: string): boolean {
  const seen = new Set<string>()
  let depth = 0
  let last = ''
  for (const [token] of json.matchAll(tokens)) {
    if (token === '{' || token === '[') depth += 1
    if (token === '}' || token === ']') depth -= 1
    if (token === ':' && depth === 1) {
      const name = JSON.parse(last) as string
      if (seen.has(name)) return true
      seen.add(name)
    }
    last = token
  }
  return false
}
