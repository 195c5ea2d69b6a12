/** The input of a tool call as text: JSON that a persona wrote by hand, or what JSON makes of it. */

/** Text in place of an input. Only a stream carries it: a whole message has `{}` there. */
export class RawInput {
  readonly #json: string

  constructor(json: string) {
    this.#json = json
  }

  get text(): string {
    return this.#json
  }

  toJSON(): object {
    return {}
  }
}

export const inputText = (input: unknown): string =>
  input instanceof RawInput ? input.text : JSON.stringify(input)
