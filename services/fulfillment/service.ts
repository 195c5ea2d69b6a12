/** The fulfillment service: its configuration, and what it is made of. */
import { z } from 'zod'
import { agentConfig, agentSettings } from '../../platform/agent-config.ts'
import { baseUrl, integer } from '../../platform/config.ts'
import type { RunningProcess } from '../../platform/process.ts'
import {
  type ServiceDeps,
  startToolService,
  toolServiceConfig,
} from '../../platform/tool-service.ts'
import { createShipmentAgent } from './agent.ts'
import { type CarrierClient, createCarrierClient } from './carrier-client.ts'
import type { Warehouse } from './carrier-request.ts'
import { fulfillmentPrompts } from './prompts.ts'
import { fulfillmentResources } from './resources.ts'
import { fulfillmentTools } from './tools.ts'

const version = '1'
/** Added to the deadline of a purchase: the carrier may finish what we have given up. */
const purchaseGraceMs = 5_000

const text = (max: number) => z.string().trim().min(1).max(max)
const centimetres = integer(1, 300)

export const fulfillmentConfig = toolServiceConfig
  .extend(
    agentConfig({
      model: 'claude-opus-5-5',
      effort: 'medium',
    }).shape,
  )
  .extend({
    /** `https://api.easypost.com`, or the carrier stand-in. */
    CARRIER_URL: baseUrl,
    CARRIER_API_KEY: text(200),
    /** Origins that labels are fetched from besides CARRIER_URL's, parted by commas: EasyPost's. */
    CARRIER_LABEL_ORIGINS: z
      .string()
      .default(
        'https://easypost-files.s3.us-west-2.amazonaws.com,https://easypost-files.s3-us-west-2.amazonaws.com',
      )
      .transform((origins) => origins.split(',').map((origin) => origin.trim())),
    /** The heaviest parcel that the carrier takes, box included. */
    CARRIER_LIMIT_GRAMS: integer(1, 1_000_000).default(30_000),
    /** One call to the carrier. */
    CARRIER_TIMEOUT_MS: integer(100, 60_000).default(8_000),
    /** Attempts and waits of safe reads; nothing else is retried here. */
    CARRIER_ATTEMPTS_MAX: integer(1, 10).default(3),
    CARRIER_BACKOFF_MIN_MS: integer(1, 10_000).default(200),
    CARRIER_BACKOFF_MAX_MS: integer(1, 60_000).default(2_000),
    /** How long an undo waits for a purchase under way. */
    VOID_WAIT_MS: integer(0, 60_000).default(5_000),
    /** Where parcels start: made up, as is everything about the demo warehouse. */
    SHIP_FROM_NAME: text(100).default('Baton Demo Warehouse'),
    SHIP_FROM_STREET: text(100).default('100 Sample Street'),
    SHIP_FROM_CITY: text(100).default('Columbus'),
    SHIP_FROM_REGION: text(50).default('OH'),
    SHIP_FROM_POSTAL_CODE: text(20).default('43215'),
    SHIP_FROM_PHONE: text(30).default('6145550100'),
    /** Who signs customs declarations. */
    CUSTOMS_SIGNER: text(100).default('Baton Demo Warehouse'),
    BOX_LENGTH_CM: centimetres.default(40),
    BOX_WIDTH_CM: centimetres.default(30),
    BOX_HEIGHT_CM: centimetres.default(20),
    /** What the empty box weighs. */
    BOX_WEIGHT_GRAMS: integer(0, 10_000).default(0),
  })
export type FulfillmentConfig = Readonly<z.output<typeof fulfillmentConfig>>

/** Starts the service; it serves until it is stopped. */
export function startFulfillment(config: FulfillmentConfig): Promise<RunningProcess> {
  return startToolService({
    name: 'fulfillment',
    version,
    config,
    migrations: new URL('./migrations/', import.meta.url),
    seed: new URL('./seed.sql', import.meta.url),
    offers: (deps) => ({
      tools: fulfillmentTools({
        pool: deps.pool,
        carrier: carrierClient(deps, config),
        askAgent: createShipmentAgent(deps, agentSettings(config)),
        limitGrams: config.CARRIER_LIMIT_GRAMS,
        boxGrams: config.BOX_WEIGHT_GRAMS,
        purchaseMs: config.CARRIER_TIMEOUT_MS + purchaseGraceMs,
        voidWaitMs: config.VOID_WAIT_MS,
      }),
      resources: fulfillmentResources(deps.pool),
      prompts: fulfillmentPrompts(deps.pool),
    }),
  })
}

function carrierClient({ metrics }: ServiceDeps, config: FulfillmentConfig): CarrierClient {
  return createCarrierClient({
    url: config.CARRIER_URL,
    apiKey: config.CARRIER_API_KEY,
    labelOrigins: config.CARRIER_LABEL_ORIGINS,
    warehouse: warehouse(config),
    timeoutMs: config.CARRIER_TIMEOUT_MS,
    retry: {
      attemptsMax: config.CARRIER_ATTEMPTS_MAX,
      backoffMinMs: config.CARRIER_BACKOFF_MIN_MS,
      backoffMaxMs: config.CARRIER_BACKOFF_MAX_MS,
    },
    onBreakerChange: metrics.onBreakerChange('carrier'),
  })
}

const warehouse = (config: FulfillmentConfig): Warehouse => ({
  shipFrom: {
    name: config.SHIP_FROM_NAME,
    street1: config.SHIP_FROM_STREET,
    city: config.SHIP_FROM_CITY,
    region: config.SHIP_FROM_REGION,
    postalCode: config.SHIP_FROM_POSTAL_CODE,
    country: 'US',
  },
  phone: config.SHIP_FROM_PHONE,
  customsSigner: config.CUSTOMS_SIGNER,
  box: {
    lengthCm: config.BOX_LENGTH_CM,
    widthCm: config.BOX_WIDTH_CM,
    heightCm: config.BOX_HEIGHT_CM,
  },
})
