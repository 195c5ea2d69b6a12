import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { BERLIN, type Carrier, CUSTOMS, type Json, parcelTo, startCarrier } from './support.ts'

/** The words of an uncompressed PDF: pdfkit writes text as hex strings inside `[...] TJ`. */
function textOf(pdf: Buffer): string[] {
  const shown = pdf.toString('latin1').matchAll(/\[([^\]]*)\] TJ/g)
  return [...shown].map(([, parts = '']) =>
    [...parts.matchAll(/<([0-9a-f]*)>/g)]
      .map(([, hex = '']) => Buffer.from(hex, 'hex').toString('latin1'))
      .join(''),
  )
}

describe('the label', () => {
  let carrier: Carrier

  before(async () => {
    carrier = await startCarrier()
  })
  after(() => carrier[Symbol.asyncDispose]())

  const boughtLabel = async (request = parcelTo()) => {
    const { body } = await carrier.buy(await carrier.create(request))
    const response = await fetch(body.postage_label.label_url)
    return { shipment: body as Json, response, pdf: Buffer.from(await response.arrayBuffer()) }
  }

  it('is a PDF of 4 by 6 inches that anybody with the url can open', async () => {
    const { response, pdf } = await boughtLabel()

    assert.equal(response.status, 200)
    assert.equal(response.headers.get('content-type'), 'application/pdf')
    assert.equal(response.headers.get('x-carrier-stand-in'), 'true')
    assert.equal(pdf.subarray(0, 5).toString(), '%PDF-')
    assert.match(pdf.toString('latin1'), /\/MediaBox \[0 0 288 432\]/)
    assert.equal(pdf.toString('latin1').match(/\/Type \/Page\n/g)?.length, 1)
  })

  it('says that it is a sample, and who sends what to whom', async () => {
    const { shipment, pdf } = await boughtLabel()

    const words = textOf(pdf)
    assert.ok(words.includes('SAMPLE'))
    assert.ok(words.includes('not valid for postage'))
    assert.ok(words.includes('SAMPLE - carrier stand-in, not valid for postage'))
    assert.ok(words.includes('STANDINPOST GROUND'))
    assert.ok(words.includes('John Doe'))
    assert.ok(words.includes('Springfield, OR  97477'))
    assert.ok(words.includes('Baton Warehouse'))
    assert.ok(words.includes('2 lb 6.4 oz (1.09 kg)'))
    assert.ok(words.some((text) => text.replaceAll(' ', '') === shipment.tracking_code))
    assert.ok(words.includes(`REF  ${shipment.reference}`))
  })

  it('has a barcode that starts and ends as Code 128 does', async () => {
    const { pdf } = await boughtLabel()

    const bars = [...pdf.toString('latin1').matchAll(/^([\d.]+) 295 ([\d.]+) 54 re$/gm)]
    const [x0 = 0, x1 = 0, x2 = 0] = bars.map(([, x]) => Number(x))
    const widths = bars.map(([, , width]) => Number(width))
    const module = (widths[0] ?? 0) / 2
    const near = (value: number, modules: number) =>
      assert.ok(Math.abs(value / module - modules) < 0.02, `${value / module} is not ${modules}`)

    // Start B is 2 1 1 2 1 4 and stop is 2 3 3 1 1 1 2, bars and spaces in modules.
    near(x1 - x0, 3)
    near(x2 - x1, 3)
    near(widths.at(-1) ?? 0, 2)
    near(widths.at(-4) ?? 0, 2)
    assert.ok(bars.length > 50)
  })

  it('names the country and the declared value of a parcel abroad', async () => {
    const { pdf } = await boughtLabel(parcelTo(BERLIN, { customs_info: CUSTOMS }))

    const words = textOf(pdf)
    assert.ok(words.includes('GERMANY'))
    assert.ok(words.includes('UNITED STATES'))
    assert.ok(words.includes('CUSTOMS  merchandise, 1 item, value USD 24.00'))
  })

  it('copes with long names and letters that the font lacks', async () => {
    const name = `Łucja Żółkiewska ${'von und zu '.repeat(10)}東京`.slice(0, 119)
    const { response, pdf } = await boughtLabel(
      parcelTo({ ...BERLIN, name }, { customs_info: CUSTOMS }),
    )

    assert.equal(response.status, 200)
    assert.ok(textOf(pdf).some((text) => /^Lucja Zólkiewska .*\.\.\.$/.test(text)))
  })

  it('is the same, byte for byte, after a restart', async () => {
    const { shipment, pdf } = await boughtLabel()
    await using other = await startCarrier({ dataFile: carrier.dataFile })

    const again = await fetch(`${other.base}${new URL(shipment.postage_label.label_url).pathname}`)

    assert.ok(pdf.equals(Buffer.from(await again.arrayBuffer())))
  })

  it('does not exist before postage is bought', async () => {
    const shipment = await carrier.create()
    const file = shipment.id.replace('shp_', 'pl_')

    for (const path of [`/labels/${file}.pdf`, '/labels/other.pdf', '/labels/..%2fbook.jsonl']) {
      assert.equal((await fetch(carrier.base + path)).status, 404)
    }
  })
})
