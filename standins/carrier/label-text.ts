/** Single lines of text that shrink until they fit, in letters that the standard PDF fonts have. */

type Doc = PDFKit.PDFDocument

interface TextStyle {
  readonly font?: string
  /** The largest size; text that is too wide shrinks to half of it and is then cut. */
  readonly size: number
  readonly width: number
  readonly color?: string
}

/** One line from `x` to the right. */
export function put(doc: Doc, text: string, x: number, y: number, style: TextStyle): void {
  const shown = fit(doc, text, style)
  doc.fillColor(style.color ?? '#000').text(shown, x, y, { lineBreak: false })
}

/** One line with its middle at `x`. */
export function centre(doc: Doc, text: string, x: number, y: number, style: TextStyle): void {
  const shown = fit(doc, text, style)
  const left = x - doc.widthOfString(shown) / 2
  doc.fillColor(style.color ?? '#000').text(shown, left, y, { lineBreak: false })
}

/** Chooses the font size; returns the text that fits the width. */
function fit(doc: Doc, text: string, { font = 'Helvetica', size, width }: TextStyle): string {
  let shown = printable(text)
  const natural = doc.font(font).fontSize(size).widthOfString(shown)
  if (natural <= width) return shown
  doc.fontSize(Math.max(size / 2, (size * width) / natural))
  while (shown.length > 4 && doc.widthOfString(shown) > width) shown = `${shown.slice(0, -4)}...`
  return shown
}

/** The standard PDF fonts know Latin-1 only: accents beyond it are dropped, other letters are `?`. */
function printable(text: string): string {
  return text.normalize('NFC').replace(/[^\x20-\x7e\xa1-\xff]/gu, (character) => {
    const base = character.normalize('NFD').replace(/\p{M}/gu, '')
    return letters[base] ?? (/^[\x20-\x7e]+$/.test(base) ? base : '?')
  })
}

const letters: Readonly<Record<string, string>> = {
  ł: 'l',
  Ł: 'L',
  đ: 'd',
  Đ: 'D',
  ı: 'i',
  œ: 'oe',
  Œ: 'OE',
  '’': "'",
  '‘': "'",
  '–': '-',
  '—': '-',
}
