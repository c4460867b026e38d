import type { DeviceIdentity } from '#protocol'
import { attested, credential } from '../registry/world.js'
import type { Answer, Ask } from './service.js'

/** What stands on a machine's disk: a key and, once it was answered, its certificate; and which of them is in use. */
export interface Image {
  readonly generations: readonly Generation[]
  readonly inUse?: number
}

interface Generation {
  readonly number: number
  readonly key: string
  readonly certificate?: DeviceIdentity
}

/** What lets it in: a token, or a TPM that keeps its one key, which no copy of the disk has. */
export type Way = { readonly token: string } | { readonly ek: string }

/** A question on its way, and for which generation it was asked. */
export interface Asked {
  readonly id: number
  readonly ask: Ask
  readonly generation: number
}

let keys = 0

/**
 * A device with the agent on it, by the rules of device-agent/state-folder.ts and run.ts. What it has written is on its
 * disk before it says anything, so that a crash of it is no more than a question without an answer.
 */
export class Machine {
  readonly name: string
  image: Image = { generations: [] }
  isConnected = false
  /** The last refusal, until something is granted. */
  refused: string | undefined
  /** All that it was ever refused with. */
  readonly refusals = new Set<string>()
  #way: Way
  #awaiting: Asked | undefined
  #renewsSoon = false

  constructor(name: string, way: Way, image?: Image) {
    this.name = name
    this.#way = way
    if (image !== undefined) this.image = image
  }

  get way(): Way {
    return this.#way
  }

  get certificate(): DeviceIdentity | undefined {
    return this.#inUse()?.certificate
  }

  /** What it does next; nothing while it waits for an answer, or all is well. */
  act(id: number, now: number): Asked | undefined {
    if (this.#awaiting !== undefined) return undefined
    const inUse = this.#inUse()
    if (inUse?.certificate === undefined) return this.#asking(id, this.#requestKey(), (key) => this.#join(key))
    const { certificate: presented } = inUse
    if (!this.isConnected && !this.#renewsSoon && presented.notAfter.getTime() > now) {
      return (this.#awaiting = { id, ask: { kind: 'connect', presented }, generation: inUse.number })
    }
    const half = (presented.notBefore.getTime() + presented.notAfter.getTime()) / 2
    if (now < half && !this.#renewsSoon) return undefined
    return this.#asking(id, this.#requestKey(), (key) => ({ kind: 'renew', presented, key }))
  }

  /** Nothing has come for too long. */
  giveUp(): void {
    this.#awaiting = undefined
  }

  hear({ id, ask, generation }: Asked, answer: Answer): void {
    if (this.#awaiting?.id !== id) return // the connection is gone that it was asked over
    this.#awaiting = undefined
    this.refused = 'refused' in answer ? answer.refused : undefined
    if (this.refused !== undefined) this.refusals.add(this.refused)
    if ('certificate' in answer) return this.#complete(generation, answer.certificate)
    if ('connected' in answer) return this.#connected(generation)
    if (ask.kind === 'connect') this.#fallBack(generation)
    else this.#renewsSoon = false // until the broker has refused it again
  }

  /** Another disk in the same machine, or the same as it was before. */
  restore(image: Image): void {
    this.image = image
    this.isConnected = this.#renewsSoon = false
    this.#awaiting = undefined
  }

  /** `touchmark-agent enroll --again`, with what an operator gave for it. */
  joinAgain(way: Way): void {
    this.#way = way
    this.restore({ generations: [] })
  }

  #inUse(): Generation | undefined {
    return this.image.generations.find(({ number }) => number === this.image.inUse)
  }

  #asking(id: number, { number, key }: Generation, ask: (key: string) => Ask): Asked {
    return (this.#awaiting = { id, ask: ask(key), generation: number })
  }

  #join(key: string): Ask {
    const way = this.#way
    const attestation = attested(key, 'ek' in way ? { ek: way.ek, tier: 'tpm' } : way)
    return { kind: 'join', attestation, ...('token' in way && { token: credential(way.token) }) }
  }

  /** The oldest that was never answered, so that no key is asked for twice over; else a new one. */
  #requestKey(): Generation {
    const { generations, inUse = 0 } = this.image
    const waiting = generations.find(({ number, certificate }) => number > inUse && certificate === undefined)
    if (waiting !== undefined) return waiting
    const number = Math.max(0, ...generations.map((one) => one.number)) + 1
    const made = { number, key: 'ek' in this.#way ? `key of ${this.#way.ek}` : `key ${++keys}` }
    this.image = { ...this.image, generations: [...generations, made] }
    return made
  }

  #complete(number: number, certificate: DeviceIdentity): void {
    const generations = this.image.generations.map((one) => (one.number === number ? { ...one, certificate } : one))
    this.image = { generations, inUse: number }
    this.isConnected = this.#renewsSoon = false
  }

  #connected(number: number): void {
    this.isConnected = true
    this.image = { ...this.image, generations: this.image.generations.filter((one) => one.number >= number) }
  }

  #fallBack(number: number): void {
    this.isConnected = false
    if (this.image.inUse !== number) return
    this.#renewsSoon = true
    const { generations } = this.image
    const older = generations.findLast((one) => one.number < number && one.certificate !== undefined)
    if (older === undefined) return
    const without = generations.map((one) => (one.number === number ? { number, key: one.key } : one))
    this.image = { generations: without, inUse: older.number }
  }
}
