/**
 * Code's own screen of an order's note: does it read like instructions to a system rather than like
 * words for a parcel? It is a tripwire, not a wall: whatever it says, a note reaches a model only as
 * data, and no note changes what rules decide.
 */

/** Characters that show nothing: zero width, soft hyphen, direction marks, variation selectors. */
const invisible = /[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu
const accents = /\p{M}/gu
/** Cyrillic and Greek letters that look like Latin ones. */
const lookAlikes: Readonly<Record<string, string>> = {
  а: 'a',
  е: 'e',
  о: 'o',
  р: 'p',
  с: 'c',
  у: 'y',
  х: 'x',
  і: 'i',
  ѕ: 's',
  ј: 'j',
  ԁ: 'd',
  α: 'a',
  ο: 'o',
  ν: 'v',
  ι: 'i',
  ρ: 'p',
}
const lookAlike = new RegExp(`[${Object.keys(lookAlikes).join('')}]`, 'g')

// Gaps are bounded, so that no note of 2,000 characters takes long to read.
const signs: readonly RegExp[] = [
  // Set the rules aside.
  /(?<!n't |not |never )\b(ignore|disregard|override|overrule|bypass|forget|suspend|circumvent)\b.{0,40}\b(rules?|instructions?|policy|policies|prompts?|guidelines?|restrictions?|safeguards?|checks|limits?)\b/s,
  /\b(ignore|disregard|forget)\b.{0,20}\b(everything|all|anything)\b.{0,20}\b(above|before|previous|prior|earlier|told)\b/s,
  /\bskip\b.{0,20}\b(validation|verification|review|approval|(fraud|risk|credit|stock|limit|safety)\s+checks?)\b/s,
  /\bignor(iere|ieren|iert|ez|a|e)\b.{0,40}\b(anweisung(en)?|regeln?|vorgaben|regles|consignes|instrucciones|reglas|istruzioni)\b/s,
  /\b(new|updated|real|actual|revised|following)\s+(system\s+)?instructions?\s*(:|are\b|from\b|override\b)/,
  // Claim a state or a price.
  /\b(mark|set|flag|treat|record|register|consider|count|log)\b.{0,40}\bas\s+(already\s+|fully\s+|pre-?)?(paid|free|approved|verified|validated|trusted|fulfilled|shipped|low[\s-]risk|vip)\b/s,
  /\b(set|change|reduce|lower|update|adjust|raise|increase)\b.{0,25}\b(price|total|cost|amount|limit|quantity|status|risk|stock|discount)\b.{0,20}\b(to|by|at|=)/s,
  /\b(apply|give|grant|issue)\b.{0,25}(\d+\s*(%|percent)|\bfull|\bstaff|\bemployee|\bmaximum)\s*(discount|refund|credit)\b/s,
  /\b(waive|zero out|remove)\b.{0,20}\b(price|charge|total|fees?|costs?|payment|limit)\b(?!\s*(tags?|labels?|stickers?))/s,
  // Order about goods.
  /\b(ship|dispatch)\s+(me\s+|us\s+|out\s+|exactly\s+|another\s+|at least\s+|up to\s+)?(\d+|a hundred|a thousand|all|every)\b/,
  /\b(send|deliver|add|include|give|reserve|put)\s+(me\s+|us\s+|in\s+|exactly\s+)?(an?\s+|\d+\s*x?\s*)(extra|additional|more|free|bonus)\s+(units?|pieces?|items?|mugs?|trays?|lamps?|tables?|napkins?|products?|orders?)\b/,
  /\b(send|deliver|add|include|give|reserve)\s+(me\s+|us\s+|exactly\s+)?\d{2,}\s*x?\s*(units?|pieces?|items?|of (them|these|each))\b/,
  // Demand a decision.
  /\bapprove\s+(this|the|my|it|all|any|every|order|orders|immediately|automatically|without)\b/,
  /\bauto-?approve\b/,
  /\b(accept|authori[sz]e|release|fulfil|fulfill|whitelist|fast-?track)\s+(this|my|all|any|every)\s+(orders?|payments?|requests?|transactions?|purchases?|customers?)\b/,
  /\b(do not|don't|never|without)\s+(flag|reject|review|validat\w*|verif\w*|escalat\w*|hold|report|question|check)\w*\s*(this|the|my|any)?\s*(order|payment|customer|account|total|price|limit|stock)\b/,
  /\b(verdict|risk)\b\W{0,4}(must|should|is|=|:)?\W{0,4}\b(accept|low|none)\b/,
  // Speak as, or to, the machine.
  /\b(system|developer|hidden|initial|your)\s+prompt\b/,
  /\bsystem\s+(message|instruction|override|command|notice)s?\b/,
  /\b(developer|debug|god|root|sudo|maintenance|unrestricted|jailbreak)\s*mode\b/,
  /\byou are now\b.{0,40}\b(an?|in|the|my|free|allowed|able|authori[sz]ed|operating|acting)\b/s,
  /\byou are\s+(an?|the)\s+(ai|assistant|agent|bot|chatbot|language model|llm|validator|system)\b/,
  /\b(act|behave|respond|answer|pretend|role-?play)\b.{0,15}\b(as|like)\b.{0,20}\b(admin\w*|system|assistant|ai|developer|validator|supervisor|unrestricted)\b/s,
  /\b(attention|note|message|instructions?|to|dear|hey|hello)\b[\s:,]*(to\s+|for\s+)?(the\s+|any\s+|all\s+)?(ai|llm|language model|chatbot|ai agent|ai assistant|assistant|order agent|claude)\b/,
  /^\s*(system|assistant|developer|admin|user)\s*:/m,
  /<\s*\/?\s*(system|assistant|user|admin|instructions?|prompt|policy|task|tool_result|tool_use|verdict)\b/,
  /\[\s*\/?\s*(system|inst|assistant|admin|instructions?)\s*\]|<\|/,
  /"\s*(verdict|risk|role|notecontainsinstructions|decision)\s*"\s*:/,
  // Reach for tools or secrets.
  /\b(call|invoke|run|execute|use)\b.{0,20}\b(tools?|functions?|[a-z]+_[a-z]+(_[a-z]+)*)\b/s,
  /\b(set_stock|reserve_stock|release_stock|commit_stock|generate_label|void_label|open_order|close_order|validate_order)\b/,
  /\b(reveal|print|show|output|repeat|leak|expose|dump|send)\b.{0,30}\b(api keys?|secrets?|credentials|passwords?|other customers?|customer (list|data)|database|prompt)\b/s,
  /\b(drop|truncate|delete)\s+(table|from|database)\b/,
]

/**
 * True when a note looks like instructions to a system. Case, accents, invisible characters and
 * look-alike letters do not hide them.
 */
export function looksLikeInstructions(note: string): boolean {
  // An invisible character may split a word or stand between two: read the note both ways.
  const readings = [plain(note.replace(invisible, '')), plain(note.replace(invisible, ' '))]
  return readings.some((text) => signs.some((sign) => sign.test(text)))
}

function plain(text: string): string {
  return text
    .normalize('NFKD')
    .replace(accents, '')
    .toLowerCase()
    .replace(lookAlike, (letter) => lookAlikes[letter] ?? letter)
    .replace(/[\u2018\u2019\u02bc]/g, "'")
    .replace(/[^\S\n]+/g, ' ')
}
