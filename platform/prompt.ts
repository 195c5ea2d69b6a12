/** Prompts: texts that a person's own model may start from, with the facts already in them. */
import type { z } from 'zod'
import type { Needs } from './authority.ts'
import type { CallContext } from './tool.ts'

export interface PromptContract<I extends z.ZodObject = z.ZodObject> extends Needs {
  readonly name: string
  readonly title: string
  /** What it helps with, and what it does not do. */
  readonly description: string
  /** Texts only: the protocol knows no other arguments. */
  readonly input: I
}

/** One message of the user: the task in our words, and the facts as JSON, which are data. */
export interface PromptText {
  readonly task: string
  readonly facts: object
}

export interface Prompt {
  readonly contract: PromptContract
  readonly write: (input: Record<string, string>, context: CallContext) => Promise<PromptText>
}

/** Declares a prompt. */
export const definePrompt = <I extends z.ZodObject>(
  contract: PromptContract<I>,
): PromptContract<I> => Object.freeze(contract)

/** Puts a writer behind a contract. Scope, binding and arguments are checked before it runs. */
export const implementPrompt = <I extends z.ZodObject>(
  contract: PromptContract<I>,
  write: (input: z.output<I>, context: CallContext) => Promise<PromptText>,
): Prompt => ({
  contract: contract as unknown as PromptContract,
  write: write as unknown as Prompt['write'],
})
