import type { DeviceId } from '#protocol'
import type { Question, Request } from './request.js'
import type { Rights } from './rights.js'

interface Grant {
  readonly request: Request
  /** Of the one who may answer. Other rights are another matter: whoever gave these may have taken something back. */
  readonly rights: Rights
}

/** Answers that one connection may have to give; over it, who has asked most loses what it asked first. */
const maxGrants = 64

/**
 * What a connection may say although no rule of its device says so: one message for each that asked it, to the response
 * topic and with the correlation data of that one (MQTT 5.0 §4.10), in time. Whoever asks what another has asked already
 * gets an answer of its own, and takes nothing from the other.
 */
export class Answers {
  /** Oldest first. */
  #grants: readonly Grant[] = []

  get size(): number {
    return this.#grants.length
  }

  give(request: Request, rights: Rights): void {
    this.#drop(({ request: { device, question } }) => device === request.device && question === request.question)
    if (this.size >= maxGrants) this.sweep()
    if (this.size >= maxGrants) this.#makeRoom()
    this.#grants = [...this.#grants, { request, rights }]
  }

  /** Spends the right to this one answer. The rule by which it was asked for; undefined where it was not, or not by these rights. */
  take(question: Question | undefined, rights: Rights): string | undefined {
    const grant = this.#grants.find((known) => {
      return known.request.question === question && known.rights === rights && known.request.stands()
    })
    if (!grant) return undefined
    this.#drop((known) => known === grant)
    return grant.request.rule
  }

  /** Lets go of what is over. */
  sweep(): void {
    this.#drop(({ request }) => !request.stands())
  }

  #makeRoom(): void {
    const asked = new Map<DeviceId, number>()
    for (const { request } of this.#grants) asked.set(request.device, (asked.get(request.device) ?? 0) + 1)
    const most = Math.max(...asked.values())
    const first = this.#grants.find(({ request }) => asked.get(request.device) === most)
    this.#drop((grant) => grant === first)
  }

  #drop(goes: (grant: Grant) => boolean): void {
    if (this.#grants.some(goes)) this.#grants = this.#grants.filter((grant) => !goes(grant))
  }
}
