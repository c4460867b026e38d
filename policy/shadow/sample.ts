import type { Decided, Observed } from './observed.js'

/** What a sample holds at most in topics and names, in characters: a topic has up to 1,024, and N can be large. */
const maxCharacters = 32 * 1024 * 1024

/** The newest decisions of the log, and where the sessions among them came from; filled from the newest on. */
export class DecisionSample {
  readonly decisions: Decided[] = []
  /** The address of a session's client, by the session. */
  readonly addresses = new Map<string, string>()
  readonly #asked: number
  #since: string | undefined
  #until: string | undefined
  #characters = 0

  constructor(asked: number) {
    this.#asked = asked
  }

  get isFull(): boolean {
    return this.decisions.length >= this.#asked || this.#characters >= maxCharacters
  }

  /** Of the oldest and the newest. */
  get range(): { readonly since?: string; readonly until?: string } {
    const [since, until] = [this.#since, this.#until]
    return since === undefined || until === undefined ? {} : { since, until }
  }

  add(observed: Observed): void {
    if (observed.kind === 'connect') {
      this.addresses.set(observed.session, observed.from)
      return
    }
    const { decided, time } = observed
    this.decisions.push(decided)
    this.#characters += charactersOf(decided)
    this.#until ??= time
    this.#since = time
  }
}

function charactersOf({ device, question }: Decided): number {
  const topic = typeof question === 'string' ? '' : question.action === 'subscribe' ? question.filter : question.topic
  return device.length + topic.length + 200
}
