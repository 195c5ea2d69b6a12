/** Where a page of orders ended; callers hand it back as it is. */
import { z } from 'zod'
import { invalid } from '../platform/errors.ts'

const position = z.object({ createdAt: z.iso.datetime({ precision: 6 }), orderId: z.uuid() })

export const encodeCursor = ({ createdAt, orderId }: z.infer<typeof position>): string =>
  Buffer.from(JSON.stringify({ createdAt, orderId })).toString('base64url')

/** @throws invalid `invalid_query`. */
export function decodeCursor(cursor: string): z.infer<typeof position> {
  try {
    return position.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')))
  } catch {
    throw invalidQuery('cursor is not one of ours')
  }
}

export const invalidQuery = (message: string) =>
  invalid('invalid_query', `The query is not valid: ${message}`, {
    next: 'Use status, limit (1 to 100) and the nextCursor of the page before.',
  })
