import { createHash } from 'node:crypto'
import type { Decision, DeviceId, TopicName } from '#protocol'
import type { Hub } from './hub.js'
import type { Session } from './session.js'
import type { MessageProperties } from './wire/packet.js'

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

/**
 * Of a message whose rule lets it be answered: for so long, and while who asks is there with the rights by which it did.
 * It can wait in queues for days, so it holds on to no connection.
 */
export function requestOf(
  hub: Hub,
  session: Session,
  { responseTopic, correlationData }: MessageProperties,
  { answerMs, rules }: Extract<Decision, { effect: 'allow' }>,
): Request | undefined {
  if (answerMs === undefined || responseTopic === undefined) return undefined
  const question = questionOf(responseTopic, correlationData)
  const [rule] = rules
  if (question === undefined || rule === undefined) return undefined
  const { device, clientId, name, rights } = session
  const until = hub.elapsed() + answerMs
  const isThere = (asker: Session | undefined) => asker?.link && asker.name === name && asker.rights === rights
  const stands = () => hub.elapsed() < until && isThere(hub.sessions.get(clientId)) === true
  return { device, question, rule, stands }
}

/** In bytes; whoever needs more to know its requests apart is not answered this way. */
const maxCorrelationBytes = 256

/** Undefined for what is no answer to anybody. */
export function questionOf(topic: TopicName, correlationData: Uint8Array | undefined): Question | undefined {
  if (correlationData === undefined) return undefined
  if (correlationData.length === 0 || correlationData.length > maxCorrelationBytes) return undefined
  return createHash('sha256').update(`${topic}\0`).update(correlationData).digest('base64') // no topic holds a NUL
}
