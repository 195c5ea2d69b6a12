/**
 * Ids of everything that belongs to one shipment come from the shipment's 32 random hex characters,
 * so nothing but those is stored. All are marked `standin`, all tracking codes begin with `SAMPLE`.
 */
import { randomBytes } from 'node:crypto'

const shipmentPattern = /^shp_standin_([0-9a-f]{32})$/
const trackerPattern = /^trk_standin_([0-9a-f]{32})$/
const ratePattern = /^rate_standin_([0-9a-f]{32})([0-9]{2})$/
const labelPattern = /^pl_standin_([0-9a-f]{32})\.pdf$/

/** 32 random hex characters: unguessable, as the label of a shipment is served without a key. */
export const newHex = (): string => randomBytes(16).toString('hex')

export const idOf = (prefix: 'shp' | 'trk' | 'pl' | 'adr' | 'prcl' | 'cstinfo', hex: string) =>
  `${prefix}_standin_${hex}`

/** The two addresses and the customs items of one shipment differ by a two-digit suffix. */
export const numberedId = (prefix: 'adr' | 'cstitem', hex: string, index: number) =>
  `${prefix}_standin_${hex}${String(index).padStart(2, '0')}`

/** `serviceIndex` is the place in the list of services, so that a rate needs no storage either. */
export const rateId = (hex: string, serviceIndex: number) =>
  `rate_standin_${hex}${String(serviceIndex).padStart(2, '0')}`

export const labelFile = (hex: string) => `${idOf('pl', hex)}.pdf`

/** `SAMPLE` and 16 digits: no real carrier issues such a code. */
export function trackingCode(hex: string): string {
  return `SAMPLE${(BigInt(`0x${hex}`) % 10n ** 16n).toString().padStart(16, '0')}`
}

export const hexOfShipment = (id: string) => shipmentPattern.exec(id)?.[1]
export const hexOfTracker = (id: string) => trackerPattern.exec(id)?.[1]
export const hexOfLabel = (file: string) => labelPattern.exec(file)?.[1]

/** The shipment and service a rate id names; undefined when it is none of ours. */
export function parseRateId(id: string): { hex: string; serviceIndex: number } | undefined {
  const [, hex, index] = ratePattern.exec(id) ?? []
  return hex === undefined ? undefined : { hex, serviceIndex: Number(index) }
}
