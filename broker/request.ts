import { createHash } from 'node:crypto'
import type { DeviceId, TopicName } from '#protocol'

/**
 * A response topic with its correlation data, by their hash: however long they are, and however many get the message,
 * each of them keeps so few bytes.
 */
export type Question = string

/** A message that asks for an answer, by a rule that lets whoever gets it give one (docs/decisions/0012). */
export interface Request {
  /** Who asks. */
  readonly device: DeviceId
  readonly question: Question
  /** The rule by which it was asked, `role/rule`; the answer is given by it too. */
  readonly rule: string
  /** False once its time is over, its asker has gone, or is not what it was. */
  readonly stands: () => boolean
}

/** In bytes; whoever needs more to know its requests apart is not answered this way. */
const maxCorrelationBytes = 256

/** Undefined for what is no answer to anybody. */
export function questionOf(topic: TopicName, correlationData: Uint8Array | undefined): Question | undefined {
  if (correlationData === undefined) return undefined
  if (correlationData.length === 0 || correlationData.length > maxCorrelationBytes) return undefined
  return createHash('sha256').update(`${topic}\0`).update(correlationData).digest('base64') // no topic holds a NUL
}
