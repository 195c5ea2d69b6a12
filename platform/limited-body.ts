/** Reads the body of a fetched answer, up to a limit: a foreign server decides how long it is. */

/** @throws Error when the body is longer than `bytesMax`; the rest of it is not read. */
export async function readLimited(response: Response, bytesMax: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > bytesMax) throw new Error(`The answer is longer than ${bytesMax} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
