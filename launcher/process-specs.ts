/** Which processes make up the platform: where each starts, its port, and its environment. */
import { fileURLToPath } from 'node:url'
import type { DatabaseUrls } from './databases.ts'
import { basePorts } from './ports.ts'

/** One process. `env` is asked once everything it needs exists. */
export interface ProcessSpec {
  readonly name: string
  /** Absolute path of its main module. */
  readonly main: string
  readonly port: number
  env(setup: Setup): Readonly<Record<string, string>>
}

export type ClaudeSetting =
  | { readonly mode: 'standin' }
  | { readonly mode: 'live'; readonly apiKey: string }

/** What the launcher has prepared before it starts a process. */
export interface Setup {
  readonly databaseUrls: DatabaseUrls
  /** File with base64 of 32 bytes. */
  readonly keyEncryptionKeyFile: string
  /** Folder of the carrier stand-in. */
  readonly carrierDir: string
  readonly claude: ClaudeSetting
  /** The Claude stand-in answers as slowly as the real one would. */
  readonly realistic: boolean
}

/** How many of each service run. */
export type ServiceReplicas = Readonly<
  Partial<Record<'order' | 'inventory' | 'fulfillment', number>>
>

export interface SpecOptions {
  readonly portOffset: number
  /** Replicas of the orchestrator, 1 to 3; the second listens 10 ports above the first. */
  readonly orchestrators: number
  /** Replicas of services, likewise 1 to 3 and 10 ports apart. Default 1 each. */
  readonly replicas?: ServiceReplicas
  readonly claudeMode: ClaudeSetting['mode']
}

const replicaPortStep = 10
/** Milliseconds a turn takes with `--realistic`. */
const realisticLatency = {
  LATENCY_HAIKU_MS: '200',
  LATENCY_SONNET_MS: '800',
  LATENCY_OPUS_MS: '2000',
}
/** Any key will do for the carrier stand-in; EasyPost's test keys begin like this. */
const standinCarrierKey = 'EZTK-standin'

/** The processes of the whole platform; the Claude stand-in is one only when it is used. */
export function platformSpecs(options: SpecOptions): ProcessSpec[] {
  const port = (name: keyof typeof basePorts) => basePorts[name] + options.portOffset
  const url = (name: keyof typeof basePorts) => `http://127.0.0.1:${port(name)}`
  const replicasOf = (name: keyof typeof basePorts, count = 1) =>
    Array.from({ length: count }, (_, i) => ({
      name: i === 0 ? name : `${name}-${i + 1}`,
      port: port(name) + replicaPortStep * i,
    }))
  // Every replica is the same issuer under the same public address, as behind a load balancer.
  const publicUrl = `http://localhost:${port('orchestrator')}`
  const carrierPublicUrl = `http://localhost:${port('carrier-standin')}`

  const claude = ({ claude }: Setup): Record<string, string> =>
    claude.mode === 'live'
      ? { CLAUDE_MODE: 'live', ANTHROPIC_API_KEY: claude.apiKey }
      : { CLAUDE_MODE: 'standin', CLAUDE_URL: url('claude-standin') }

  const service = (
    name: 'order' | 'inventory' | 'fulfillment',
    database: keyof DatabaseUrls,
    more: Record<string, string> = {},
  ): ProcessSpec[] =>
    replicasOf(name, options.replicas?.[name]).map((replica) => ({
      ...replica,
      main: mainOf(`services/${name}`),
      env: (setup) => ({
        ...claude(setup),
        ...more,
        DATABASE_URL: setup.databaseUrls[database],
        ISSUER_URL: publicUrl,
        // Every replica is the same resource, as behind a load balancer.
        RESOURCE_URL: url(name),
        SEED_DEMO: 'true',
      }),
    }))

  const orchestrator = {
    main: mainOf('orchestrator'),
    env: (setup: Setup) => ({
      ...claude(setup),
      DATABASE_URL: setup.databaseUrls.orchestrator,
      KEY_ENCRYPTION_KEY_FILE: setup.keyEncryptionKeyFile,
      ORDER_URL: url('order'),
      INVENTORY_URL: url('inventory'),
      FULFILLMENT_URL: url('fulfillment'),
      PUBLIC_URL: publicUrl,
      ISSUER_URL: publicUrl,
      AUTH: 'off',
    }),
  }

  const standins: ProcessSpec[] = [
    {
      name: 'claude-standin',
      main: mainOf('standins/claude'),
      port: port('claude-standin'),
      env: ({ realistic }) => (realistic ? realisticLatency : {}),
    },
    {
      name: 'carrier-standin',
      main: mainOf('standins/carrier'),
      port: port('carrier-standin'),
      env: ({ carrierDir }) => ({
        DATA_FILE: `${carrierDir}/book.jsonl`,
        PUBLIC_URL: carrierPublicUrl,
      }),
    },
  ]
  const carrier = {
    CARRIER_URL: url('carrier-standin'),
    CARRIER_LABEL_ORIGINS: carrierPublicUrl,
    CARRIER_API_KEY: standinCarrierKey,
  }
  return [
    ...standins.filter(({ name }) => options.claudeMode === 'standin' || name !== 'claude-standin'),
    ...service('order', 'orders'),
    ...service('inventory', 'inventory'),
    ...service('fulfillment', 'fulfillment', carrier),
    ...replicasOf('orchestrator', options.orchestrators).map((r) => ({ ...r, ...orchestrator })),
  ]
}

function mainOf(folder: string): string {
  return fileURLToPath(new URL(`../${folder}/main.ts`, import.meta.url))
}
