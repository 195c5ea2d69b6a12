/** A plain HTTP client of the platform: fetch and nothing of our own code. */

interface Answered {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: answers are asserted field by field
  readonly body: any
}

const deadlineMs = 150_000

/** POSTs an order; `body` is sent as it is when it is text or bytes. */
export async function postOrder(
  baseUrl: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answered> {
  const raw = typeof body === 'string' || body instanceof Uint8Array
  const response = await fetch(`${baseUrl}/orchestrate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: raw ? (body as string) : JSON.stringify(body),
    signal: AbortSignal.timeout(deadlineMs),
  })
  return read(response)
}

export async function get(url: string): Promise<Answered> {
  return read(await fetch(url, { signal: AbortSignal.timeout(deadlineMs) }))
}

export async function post(url: string): Promise<Answered> {
  return read(await fetch(url, { method: 'POST', signal: AbortSignal.timeout(deadlineMs) }))
}

export async function postJson(url: string, body?: object): Promise<Answered> {
  const headers = { 'content-type': 'application/json' }
  const signal = AbortSignal.timeout(deadlineMs)
  const payload = body === undefined ? {} : { body: JSON.stringify(body) }
  return read(await fetch(url, { method: 'POST', headers, signal, ...payload }))
}

async function read(response: Response): Promise<Answered> {
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json') === true
  return {
    status: response.status,
    headers: response.headers,
    body: isJson ? JSON.parse(text) : text,
  }
}
