/**
 * Whether a customer's note talks to the system instead of the warehouse.
 *
 * A simple word rule, good enough to rehearse the path; a real model judges better, and neither is
 * a defence by itself. A hit is reported and never obeyed.
 */

const readCharsMax = 10_000

const patterns: readonly RegExp[] = [
  /\b(?:ignore|disregard|override|bypass|forget|skip)\b[^.!?\n]{0,60}\b(?:rules?|instructions?|polic(?:y|ies)|checks?|validation|limits?|prompts?|guidelines|previous|above)\b/i,
  /\bmark(?:ed)?\b[^.!?\n]{0,40}\bas (?:paid|shipped|approved|valid|fulfilled|accepted)\b/i,
  /\b(?:ship|send)\b(?: me| us| them)? \d[\d,.]*(?!\d|[,.]\d|st\b|nd\b|rd\b|th\b| ?(?:am|pm|days?|hours?|weeks?)\b)/i,
  /\byou are\b(?! (?:welcome|great|the best|awesome|wonderful|amazing))/i,
  /\byou (?:must|should|will) (?:now )?(?:approve|accept|ship|output|respond|answer|return)\b/i,
  /\bsystem prompt\b/i,
  /\b(?:developer|admin|debug|maintenance) mode\b/i,
  /\bnew (?:instructions?|rules?|task)\b/i,
  /\b(?:approve|accept) (?:this|the|my) order\b/i,
  /\bset (?:the )?(?:price|total|quantity|discount|risk|verdict)\b/i,
  /\b(?:do not|don't) (?:verify|check|validate|review|follow)\b/i,
  /<\/?(?:system|task|instructions?|tool_result|assistant)\b/i,
  /^\s*(?:system|assistant)\s*:/im,
]

/** Whether the note contains instructions to the system. Reads the first 10,000 characters. */
export function containsInstructions(note: string | null): boolean {
  if (note === null) return false
  // Full-width letters and invisible characters would otherwise hide a word from every pattern.
  const plain = note
    .slice(0, readCharsMax)
    .normalize('NFKC')
    .replace(/\p{Cf}/gu, '')
  return patterns.some((pattern) => pattern.test(plain))
}
