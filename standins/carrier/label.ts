/**
 * A 4x6 inch label as PDF: vector graphics only, uncompressed, the same bytes for the same shipment.
 * It looks like a label and says in three places that it is none.
 */
import bwipjs from 'bwip-js'
import PDFDocument from 'pdfkit'
import { countryName } from './addresses.ts'
import type { Shipment } from './book-entry.ts'
import { trackingCode } from './ids.ts'
import { centre, put } from './label-text.ts'
import { CARRIER, isDomestic, type Service } from './rates.ts'
import type { Address, Parcel } from './requests.ts'

const PAGE: [number, number] = [288, 432]
const LEFT = 10
const RIGHT = 278
const INNER = 18
const GRAMS_PER_OUNCE = 28.349523125

type Doc = PDFKit.PDFDocument

/** Draws the label of a shipment that has postage; 10 KB and some milliseconds of CPU. */
export async function renderLabel(
  shipment: Shipment,
  postage: NonNullable<Shipment['postage']>,
): Promise<Buffer> {
  const { facts, hex } = shipment
  const code = trackingCode(hex)
  const shipDate = new Date(postage.boughtAtMs)
  const abroad = !isDomestic(facts)
  const doc = new PDFDocument({
    size: PAGE,
    margin: 0,
    compress: false,
    info: {
      Title: `SAMPLE label ${code}`,
      Author: 'carrier stand-in, not valid for postage',
      CreationDate: shipDate,
    },
  })
  const chunks: Buffer[] = []
  const ended = new Promise<void>((resolve, reject) => {
    doc.on('data', (chunk: Buffer) => chunks.push(chunk))
    doc.on('end', resolve)
    doc.on('error', reject)
  })

  drawWatermark(doc)
  drawHeader(doc, postage.service)
  drawFrom(doc, addressLines(facts.from_address, abroad))
  drawParcel(doc, facts.parcel, shipDate)
  drawTo(doc, addressLines(facts.to_address, abroad), abroad ? 2 : 1)
  drawTracking(doc, code)
  drawFooter(doc, facts.reference, customsLine(shipment))
  drawFrame(doc)
  doc.end()
  await ended
  return Buffer.concat(chunks)
}

function drawFrame(doc: Doc): void {
  doc
    .lineWidth(1.5)
    .rect(LEFT, 10, RIGHT - LEFT, 412)
    .stroke('#000')
  for (const y of [72, 98, 164]) rule(doc, y, 0.8)
  for (const y of [274, 374]) rule(doc, y, 3)
}

/** Grey and first, so that everything else lies on top; it stays clear of the barcode. */
function drawWatermark(doc: Doc): void {
  doc.save().rotate(-15, { origin: [144, 221] })
  doc.font('Helvetica-Bold').fontSize(62).fillColor('#e3e3e3')
  const width = doc.widthOfString('SAMPLE')
  doc.text('SAMPLE', 144 - width / 2, 221 - 24, { lineBreak: false })
  doc.restore()
}

function drawHeader(doc: Doc, service: Service): void {
  doc.rect(LEFT, 10, 62, 62).fill('#000')
  const size = service.mark.length > 1 ? 34 : 46
  doc.font('Helvetica-Bold').fontSize(size).fillColor('#fff')
  const markWidth = doc.widthOfString(service.mark)
  doc.text(service.mark, LEFT + 31 - markWidth / 2, 42 - size * 0.37, { lineBreak: false })

  put(doc, CARRIER, 82, 20, { font: 'Helvetica-Bold', size: 19, width: 116 })
  put(doc, 'carrier stand-in', 82, 42, { size: 8.5, width: 116 })
  put(doc, 'not valid for postage', 82, 53, { size: 8.5, width: 116 })

  doc.lineWidth(1.5).roundedRect(203, 22, 66, 38, 3).stroke('#000')
  centre(doc, 'SAMPLE', 236, 29, { font: 'Helvetica-Bold', size: 14, width: 60 })
  centre(doc, 'NO POSTAGE PAID', 236, 46, { size: 6, width: 60 })

  doc.rect(LEFT, 72, RIGHT - LEFT, 26).fill('#000')
  const words = service.name.replace(/([a-z])([A-Z])/g, '$1 $2').toUpperCase()
  const title = `${CARRIER.toUpperCase()} ${words}`
  centre(doc, title, 144, 79, { font: 'Helvetica-Bold', size: 14, width: 250, color: '#fff' })
}

function drawFrom(doc: Doc, lines: readonly string[]): void {
  put(doc, 'FROM', INNER, 104, { font: 'Helvetica-Bold', size: 6.5, width: 60 })
  const pitch = Math.min(9.6, 50 / lines.length)
  lines.forEach((line, index) => {
    put(doc, line, INNER, 113 + index * pitch, { size: pitch * 0.84, width: 138 })
  })
}

function drawParcel(doc: Doc, parcel: Parcel, shipDate: Date): void {
  const { weight, length, width, height } = parcel
  const facts = [
    ['SHIP DATE', shipDate.toISOString().slice(0, 10)],
    ['WEIGHT', `${pounds(weight)} (${((weight * GRAMS_PER_OUNCE) / 1000).toFixed(2)} kg)`],
    ['SIZE', length ? `${length} x ${width} x ${height} in` : 'not given'],
  ] as const
  facts.forEach(([name, value], index) => {
    const y = 104 + index * 20
    put(doc, name, 172, y, { font: 'Helvetica-Bold', size: 6.5, width: 98 })
    put(doc, value, 172, y + 8, { size: 8, width: 98 })
  })
}

/** `bold` = how many of the last lines are place and country. */
function drawTo(doc: Doc, lines: readonly string[], bold: number): void {
  put(doc, 'SHIP TO', INNER, 171, { font: 'Helvetica-Bold', size: 6.5, width: 60 })
  // Up to seven lines share the height; a short address may be large.
  const pitch = Math.min(19, 92 / lines.length)
  lines.forEach((line, index) => {
    const font = index === 0 || index >= lines.length - bold ? 'Helvetica-Bold' : 'Helvetica'
    put(doc, line, 30, 181 + index * pitch, { font, size: pitch * 0.8, width: 240 })
  })
}

function drawTracking(doc: Doc, code: string): void {
  centre(doc, `${CARRIER.toUpperCase()} TRACKING NUMBER`, 144, 282, {
    font: 'Helvetica-Bold',
    size: 8,
    width: 240,
  })
  drawBarcode(doc, code, 295, 54)
  const grouped = code.replace(/^SAMPLE|\d{4}/g, '$& ').trim()
  centre(doc, grouped, 144, 356, { font: 'Helvetica-Bold', size: 11.5, width: 240 })
}

/** Code 128 as rectangles, with the quiet zones of 10 modules that scanners need. */
function drawBarcode(doc: Doc, code: string, y: number, height: number): void {
  const [symbol] = bwipjs.raw('code128', code, {})
  if (symbol === undefined || !('sbs' in symbol)) throw new Error('bwip-js gave no bars')
  const modules = symbol.sbs.reduce((sum, width) => sum + width, 0)
  const module = Math.min(1.25, (RIGHT - LEFT - 4) / (modules + 20))
  let x = 144 - (modules * module) / 2
  symbol.sbs.forEach((width, index) => {
    if (index % 2 === 0) doc.rect(x, y, width * module, height)
    x += width * module
  })
  doc.fill('#000')
}

function drawFooter(doc: Doc, reference: string | undefined, customs: string): void {
  put(doc, `REF  ${reference ?? 'none'}`, INNER, 382, { size: 8, width: 252 })
  put(doc, customs, INNER, 393, { size: 8, width: 252 })
  centre(doc, 'SAMPLE - carrier stand-in, not valid for postage', 144, 407, {
    font: 'Helvetica-Bold',
    size: 9,
    width: 252,
  })
}

function customsLine({ facts }: Shipment): string {
  if (isDomestic(facts)) return 'Domestic, no customs declaration'
  const items = facts.customs_info?.customs_items ?? []
  const value = items.reduce((sum, item) => sum + item.value, 0)
  const count = items.length === 1 ? '1 item' : `${items.length} items`
  const kind = facts.customs_info?.contents_type ?? 'contents'
  return `CUSTOMS  ${kind}, ${count}, value USD ${value.toFixed(2)}`
}

/** Name, company, street, place, and the country when the parcel leaves its own. */
function addressLines(address: Address, abroad: boolean): string[] {
  const { name, company, street1, street2, city, state, zip, country } = address
  const place = [[city, state].filter(Boolean).join(', '), zip].filter(Boolean).join('  ')
  const land = abroad ? (countryName(country) ?? country).toUpperCase() : undefined
  return [name, company, street1, street2, place, land]
    .filter((line) => line !== undefined)
    .filter(Boolean)
}

function pounds(ounces: number): string {
  const whole = Math.floor(ounces / 16)
  const rest = (ounces - whole * 16).toFixed(1)
  return whole === 0 ? `${rest} oz` : `${whole} lb ${rest} oz`
}

function rule(doc: Doc, y: number, width: number): void {
  doc.lineWidth(width).moveTo(LEFT, y).lineTo(RIGHT, y).stroke('#000')
}
