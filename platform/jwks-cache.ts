/**
 * The public keys of one issuer, fetched over HTTP and kept.
 *
 *     fetched ──── 5 min ────▶ due ──────── 1 h ────────▶ too old
 *     served at once           fetched again, the old     refused: issuer_unavailable
 *                              ones served if that fails
 *
 * Whoever waits for a fetch shares it with all others who wait. A `kid` that is not among the keys
 * asks for one fetch per cooldown and no more, so random ones cannot be used to hammer the issuer;
 * tokens with a known `kid` never wait for it.
 */
import { z } from 'zod'
import { unavailable } from './errors.ts'
import { readLimited } from './limited-body.ts'

const keysMax = 100
const bytesMax = 256 * 1024
const keySet = z.object({
  keys: z.array(z.looseObject({ kty: z.string(), kid: z.string().optional() })).max(keysMax),
})
export type PublicKeys = Readonly<z.output<typeof keySet>>

/** Milliseconds. */
export interface JwksTiming {
  /** How old keys may be before they are fetched again. */
  readonly ageMax: number
  /** How much longer they serve while the issuer cannot be reached. */
  readonly staleMax: number
  /** Between two fetches for unknown ids, and between two while stale keys serve. */
  readonly cooldown: number
  /** Between two fetches while there are no keys at all. */
  readonly retry: number
  /** Of one fetch. */
  readonly timeout: number
}

/** A new key must be published for longer than `ageMax` before it signs: see KEY_LEAD_SECONDS. */
export const jwksTiming: JwksTiming = {
  ageMax: 5 * 60_000,
  staleMax: 60 * 60_000,
  cooldown: 5_000,
  retry: 500,
  timeout: 3_000,
}

export class JwksCache {
  readonly #url: URL
  readonly #timing: JwksTiming
  readonly #nowMs: () => number
  #keys: PublicKeys = { keys: [] }
  #fetchedAtMs = Number.NEGATIVE_INFINITY
  #attemptedAtMs = Number.NEGATIVE_INFINITY
  /** Why the last fetch failed; undefined after one that worked. */
  #failure: unknown
  #pending: Promise<void> | undefined

  /** `nowMs` counts milliseconds and never goes back, unlike the time of day. */
  constructor(
    url: URL,
    timing: Partial<JwksTiming> = {},
    nowMs: () => number = () => performance.now(),
  ) {
    this.#url = url
    this.#timing = { ...jwksTiming, ...timing }
    this.#nowMs = nowMs
  }

  /**
   * The keys, among them the one with `kid` if the issuer has it. The same object until they change.
   *
   * @throws unavailable `issuer_unavailable` when there are none that may still be used, and for an
   * unknown `kid` while the issuer cannot be asked.
   */
  async keysFor(kid: string | undefined): Promise<PublicKeys> {
    const { ageMax, staleMax, cooldown, retry } = this.#timing
    const ageMs = this.#nowMs() - this.#fetchedAtMs
    if (ageMs >= ageMax + staleMax) await this.#refresh(retry)
    else if (ageMs >= ageMax) await this.#refreshDue()
    if (!this.#has(kid)) await this.#refresh(cooldown)
    return this.#keys
  }

  #has(kid: string | undefined): boolean {
    return this.#keys.keys.some((key) => key.kid === kid)
  }

  /** Waits for one fetch; once that has failed, later ones run beside and nobody waits for them. */
  async #refreshDue(): Promise<void> {
    if (this.#failure === undefined) await this.#refresh(0).catch(() => {})
    else this.#refresh(this.#timing.cooldown).catch(() => {})
  }

  /** Joins the fetch under way; starts none within `cooldownMs` of the last, and says how that went. */
  async #refresh(cooldownMs: number): Promise<void> {
    if (this.#pending === undefined && this.#nowMs() - this.#attemptedAtMs < cooldownMs) {
      if (this.#failure !== undefined) throw this.#failure
      return
    }
    this.#pending ??= this.#fetch().finally(() => {
      this.#pending = undefined
    })
    await this.#pending
  }

  async #fetch(): Promise<void> {
    this.#attemptedAtMs = this.#nowMs()
    const startedAtMs = this.#attemptedAtMs
    try {
      const response = await fetch(this.#url, {
        headers: { accept: 'application/json, application/jwk-set+json' },
        redirect: 'error',
        signal: AbortSignal.timeout(this.#timing.timeout),
      })
      if (response.status !== 200) {
        await response.body?.cancel()
        throw new Error(`The issuer answered ${response.status}`)
      }
      this.#keys = keySet.parse(
        JSON.parse((await readLimited(response, bytesMax)).toString('utf8')),
      )
      this.#fetchedAtMs = startedAtMs
      this.#failure = undefined
    } catch (cause) {
      this.#failure = unavailable('issuer_unavailable', 'The issuer’s keys cannot be fetched', {
        next: 'Try again in a few seconds.',
        cause,
      })
      throw this.#failure
    }
  }
}
