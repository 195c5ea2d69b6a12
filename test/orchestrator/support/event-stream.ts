/** Reads server-sent events as they come. */

export interface StreamedEvent {
  readonly id: number
  readonly type: string
  readonly data: Readonly<Record<string, unknown>>
}

/** The events of one chunk of a stream, or of a whole one; comments are left out. */
export function parseEvents(text: string): StreamedEvent[] {
  return text
    .split('\n\n')
    .filter((block) => block.startsWith('id:'))
    .map((block) => {
      const fields = new Map(
        block.split('\n').map((line) => {
          const [name = '', ...rest] = line.split(': ')
          return [name, rest.join(': ')]
        }),
      )
      return {
        id: Number(fields.get('id')),
        type: fields.get('event') ?? '',
        data: JSON.parse(fields.get('data') ?? 'null') as StreamedEvent['data'],
      }
    })
}
