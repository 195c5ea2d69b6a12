/** The memory of a process from outside, before and after a collection, through Node's inspector. */

export interface Memory {
  /** MiB. */
  readonly rss: number
  readonly rssAfterGc: number
  readonly heapAfterGc: number
}

const answerMs = 30_000

/** Environment that opens the inspector on a port of loopback. */
export const inspected = (port: number) => ({ NODE_OPTIONS: `--inspect=127.0.0.1:${port}` })

export async function measureMemory(port: number): Promise<Memory> {
  const targets = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as {
    webSocketDebuggerUrl: string
  }[]
  const socket = new WebSocket(targets[0]?.webSocketDebuggerUrl ?? '')
  await new Promise((resolve, reject) => {
    socket.onopen = resolve
    socket.onerror = reject
  })
  let lastId = 0
  const ask = (method: string, params: object = {}) =>
    new Promise<Record<string, { value: string }>>((resolve, reject) => {
      const id = ++lastId
      const late = setTimeout(() => reject(new Error(`${method} was not answered`)), answerMs)
      socket.addEventListener('message', ({ data }) => {
        const message = JSON.parse(String(data))
        if (message.id !== id) return
        clearTimeout(late)
        resolve(message.result)
      })
      socket.send(JSON.stringify({ id, method, params }))
    })
  const usage = async (): Promise<NodeJS.MemoryUsage> => {
    const expression = 'JSON.stringify(process.memoryUsage())'
    const { result } = await ask('Runtime.evaluate', { expression })
    return JSON.parse(result?.value ?? '{}')
  }
  try {
    const before = await usage()
    await ask('HeapProfiler.collectGarbage')
    const after = await usage()
    return { rss: mib(before.rss), rssAfterGc: mib(after.rss), heapAfterGc: mib(after.heapUsed) }
  } finally {
    socket.close()
  }
}

const mib = (bytes: number) => Math.round(bytes / 2 ** 20)
