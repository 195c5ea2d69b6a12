/** The seam on DBOS Transact, pinned exactly. Only this file and dbos-context.ts know it. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { DBOS } from '@dbos-inc/dbos-sdk'
// Exported but undocumented: the recovery that the vendor's control plane would trigger.
import { DBOSExecutor } from '@dbos-inc/dbos-sdk/internal/dbos-executor'
import { createPool, type Pool } from '../../platform/db.ts'
import type { Log } from '../../platform/log.ts'
import { createContext } from './dbos-context.ts'
import { withLaunchLock } from './launch-lock.ts'
import { beatMs, dropLease, reapDeadExecutors, renewLease } from './lease.ts'
import { OwnRuns } from './own-runs.ts'
import type { Engine, RunState, Workflow } from './seam.ts'

/** Never changes with the code: a change of workflow code goes through `patch`. */
const applicationVersion = 'baton-1'
const queueName = 'orders'
const queuePollMs = 100
/** A run that crashes its process again and again stops being retried. */
const recoveriesMax = 50
const leasePoolMax = 3

const runStates: Readonly<Record<string, RunState>> = {
  ENQUEUED: 'queued',
  DELAYED: 'queued',
  PENDING: 'running',
  SUCCESS: 'done',
  ERROR: 'failed',
  CANCELLED: 'failed',
  MAX_RECOVERY_ATTEMPTS_EXCEEDED: 'failed',
}

export interface DbosEngineOptions {
  readonly databaseUrl: string
  readonly poolMax: number
  /** Of one statement. Default 15 s. */
  readonly databaseTimeoutMs?: number
  /** Runs that this process takes from the queue at a time. */
  readonly queueConcurrency: number
  readonly log: Log
  readonly onRecovered: (runs: number) => void
  /** Is told of the engine's own pools. */
  readonly watchPool?: (name: string, pool: Pool) => void
}

type Registered = (input: unknown) => Promise<void>

export class DbosEngine implements Engine {
  readonly #options: DbosEngineOptions
  /** Fresh for every process start: a reused id would let a second process take live runs. */
  readonly #executorId = randomUUID()
  readonly #pool: Pool
  readonly #enginePool: Pool
  readonly #workflows = new Map<string, Registered>()
  readonly #ownRuns = new OwnRuns()
  readonly #stopping = new AbortController()
  #beating: Promise<void> = Promise.resolve()

  constructor(options: DbosEngineOptions) {
    this.#options = options
    const { databaseUrl, poolMax, log, databaseTimeoutMs } = options
    this.#pool = createPool(databaseUrl, leasePoolMax, log, databaseTimeoutMs)
    this.#enginePool = createPool(databaseUrl, poolMax, log, databaseTimeoutMs)
    options.watchPool?.('lease', this.#pool)
    options.watchPool?.('engine', this.#enginePool)
    DBOS.setConfig({
      name: 'baton-orchestrator',
      systemDatabaseUrl: databaseUrl,
      systemDatabasePool: this.#enginePool,
      executorID: this.#executorId,
      applicationVersion,
      enablePatching: true,
      logger: {
        info: (entry: unknown) => log.debug({ engine: entry }, 'engine'),
        debug: () => {},
        warn: (entry: unknown) => log.warn({ engine: entry }, 'engine'),
        error: (entry: unknown) => log.error({ engine: entry }, 'engine'),
      },
    })
  }

  register<I>(name: string, workflow: Workflow<I>): void {
    const run = (input: unknown) =>
      this.#ownRuns.during(DBOS.workflowID ?? '', () =>
        workflow(createContext(this.#options.log), input as I),
      )
    const options = { name, maxRecoveryAttempts: recoveriesMax }
    this.#workflows.set(name, DBOS.registerWorkflow(run, options))
  }

  async launch(): Promise<void> {
    await renewLease(this.#pool, this.#executorId)
    await withLaunchLock(this.#pool, () => DBOS.launch())
    await DBOS.registerQueue(queueName, {
      workerConcurrency: this.#options.queueConcurrency,
      minPollingIntervalMs: queuePollMs,
      onConflict: 'always_update',
    })
    this.#beating = this.#beat()
  }

  async start(
    name: string,
    runId: string,
    input: unknown,
    dispatch: 'direct' | 'queued',
  ): Promise<void> {
    const workflow = this.#workflows.get(name)
    if (workflow === undefined) throw new Error(`No workflow ${name}`)
    const queue = dispatch === 'queued' ? { queueName } : {}
    await DBOS.startWorkflow(workflow, { workflowID: runId, ...queue })(input)
  }

  async signal(runId: string, topic: string, message: unknown, key: string): Promise<void> {
    await DBOS.send(runId, message, topic, key)
  }

  async status(runId: string): Promise<RunState> {
    const status = await DBOS.getWorkflowStatus(runId)
    return status === null ? 'unknown' : (runStates[status.status] ?? 'unknown')
  }

  async statuses(runIds: readonly string[]): Promise<ReadonlyMap<string, RunState>> {
    const found = await this.#enginePool.query<{ id: string; status: string }>(
      `select workflow_uuid as id, status from dbos.workflow_status where workflow_uuid = any($1)`,
      [runIds],
    )
    return new Map(found.rows.map(({ id, status }) => [id, runStates[status] ?? 'unknown']))
  }

  async progressOf(runId: string): Promise<unknown> {
    return DBOS.getEvent(runId, 'progress', { timeoutSeconds: 0 })
  }

  async result(runId: string, timeoutMs: number): Promise<boolean> {
    const options = { timeoutSeconds: timeoutMs / 1_000, pollingIntervalMs: 50 }
    // A failed run throws its error here, but it has ended as well.
    await DBOS.getResult(runId, options).catch(() => {})
    const state = await this.status(runId)
    return state === 'done' || state === 'failed'
  }

  async queued(): Promise<number> {
    const count = await this.#enginePool.query<{ n: number }>(
      `select count(*) as n from dbos.workflow_status where status = 'ENQUEUED' and queue_name = $1`,
      [queueName],
    )
    return count.rows[0]?.n ?? 0
  }

  async queueAgeSeconds(): Promise<number> {
    // The engine writes milliseconds since 1970 by the clock of whoever enqueued.
    const oldest = await this.#enginePool.query<{ seconds: number }>(
      `select coalesce(extract(epoch from now()) - min(created_at) / 1000.0, 0)::float8 as seconds
         from dbos.workflow_status where status = 'ENQUEUED' and queue_name = $1`,
      [queueName],
    )
    return Math.max(0, oldest.rows[0]?.seconds ?? 0)
  }

  async shutdown(drainMs: number): Promise<void> {
    await DBOS.shutdown({ workflowCompletionTimeoutMS: drainMs })
    this.#stopping.abort()
    await this.#beating
    await dropLease(this.#pool, this.#executorId).catch((error: unknown) =>
      this.#options.log.warn({ err: error }, 'lease not dropped; it ends by itself'),
    )
    await Promise.all([this.#pool.end(), this.#enginePool.end()])
  }

  /** Runs that are ours by the database and that nobody here runs: they go back to the queue. */
  async #takeUpAbandoned(): Promise<void> {
    const abandoned = await this.#ownRuns.findAbandoned(this.#pool, this.#executorId)
    if (abandoned.length === 0) return
    this.#options.log.warn({ runs: abandoned }, 'taking up runs that were let go unrecorded')
    await DBOS.resumeWorkflows(abandoned)
    this.#ownRuns.handedOver(abandoned)
    this.#options.onRecovered(abandoned.length)
  }

  async #beat(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        await renewLease(this.#pool, this.#executorId)
        await this.#takeUpAbandoned()
        const handedOn = await reapDeadExecutors(this.#pool, applicationVersion, recover)
        if (handedOn > 0) {
          this.#options.log.warn({ runs: handedOn }, 'took over runs of a process that died')
          this.#options.onRecovered(handedOn)
        }
      } catch (error) {
        this.#options.log.warn({ err: error }, 'lease not renewed')
      }
      await delay(beatMs, undefined, { signal }).catch(() => {})
    }
  }
}

async function recover(executorIds: string[]): Promise<number> {
  const handles = await DBOSExecutor.globalInstance?.recoverPendingWorkflows(executorIds)
  return handles?.length ?? 0
}
