/** What the routes share. */

import type { Pool } from '../../platform/db.ts'
import type { AnswerSettings } from '../answer.ts'
import type { ApprovalDeps } from '../approval.ts'
import type { Authenticate } from '../caller.ts'
import type { OrderWatch } from '../order-watch.ts'

export interface RouteDeps extends ApprovalDeps {
  readonly pool: Pool
  readonly watch: OrderWatch
  readonly authenticate: Authenticate
  readonly answers: AnswerSettings
  /** Aborts when the process begins to stop: who waits is answered with what is known. */
  readonly draining: AbortSignal
}
