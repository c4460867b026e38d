import type { DeviceId, TopicName } from '#protocol'
import type { Rights } from './rights.js'
import type { MessageProperties } from './wire/packet.js'

/** A message that asks for an answer, by a rule that lets whoever gets it give one (docs/decisions/0012). */
export interface Request {
  readonly device: DeviceId
  /** The rule by which it was asked, `role/rule`; the answer is given by it too. */
  readonly rule: string
  /** False once its time is over, its asker has gone, or is not what it was. */
  readonly stands: () => boolean
}

interface Grant {
  readonly request: Request
  /** Of the one who may answer. Other rights are another matter: whoever gave these may have taken something back. */
  readonly rights: Rights
}

/** Answers that one connection may have to give; over it, who has asked most loses what it asked first. */
const maxGrants = 64
/** In bytes; whoever needs more to know its requests apart is not answered this way. */
const maxCorrelationBytes = 256

/**
 * What a connection may say although no rule of its device says so: one message for each that asked it, to the response
 * topic and with the correlation data of that one (MQTT 5.0 §4.10), in time. Gone with the connection.
 */
export class Answers {
  readonly #grants = new Map<string, Grant>()

  give({ responseTopic, correlationData }: MessageProperties, request: Request, rights: Rights): void {
    if (responseTopic === undefined || correlationData === undefined) return
    if (correlationData.length === 0 || correlationData.length > maxCorrelationBytes) return
    this.#makeRoom()
    this.#grants.set(keyOf(responseTopic, correlationData), { request, rights })
  }

  /** Spends the right to this one answer. The rule by which it was asked for; undefined where it was not, or not by these rights. */
  take(topic: TopicName, correlationData: Uint8Array | undefined, rights: Rights): string | undefined {
    if (correlationData === undefined || correlationData.length > maxCorrelationBytes) return undefined
    const key = keyOf(topic, correlationData)
    const grant = this.#grants.get(key)
    this.#grants.delete(key)
    return grant && grant.rights === rights && grant.request.stands() ? grant.request.rule : undefined
  }

  #makeRoom(): void {
    if (this.#grants.size < maxGrants) return
    for (const [key, { request }] of this.#grants) if (!request.stands()) this.#grants.delete(key)
    if (this.#grants.size < maxGrants) return
    const asked = new Map<DeviceId, string[]>()
    for (const [key, { request }] of this.#grants) {
      asked.set(request.device, [...(asked.get(request.device) ?? []), key])
    }
    const [most = []] = [...asked.values()].sort((one, other) => other.length - one.length)
    this.#grants.delete(most[0] ?? '')
  }
}

/** No topic holds a NUL. */
function keyOf(topic: TopicName, correlationData: Uint8Array): string {
  return `${topic}\0${Buffer.from(correlationData).toString('base64')}`
}
