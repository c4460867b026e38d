import type { Caller } from '../limits.js'

/** So many who have proven something go before a stranger who waits: he comes in too, however many they are. */
const provenInTurn = 4

/** What waits, in the order in which it came; those who have proven something go first. Who fills it sets its bound. */
export class Lanes<T> {
  readonly #lanes: Readonly<Record<Caller, T[]>> = { proven: [], stranger: [] }
  #inTurn = 0

  get size(): number {
    return this.#lanes.proven.length + this.#lanes.stranger.length
  }

  push(caller: Caller, one: T): void {
    this.#lanes[caller].push(one)
  }

  /** What was taken and could not be done goes to the front again. */
  putBack(caller: Caller, one: T): void {
    this.#lanes[caller].unshift(one)
  }

  take(): T | undefined {
    const { proven, stranger } = this.#lanes
    const isStrangersTurn = proven.length === 0 || (this.#inTurn >= provenInTurn && stranger.length > 0)
    this.#inTurn = isStrangersTurn ? 0 : this.#inTurn + 1
    return isStrangersTurn ? stranger.shift() : proven.shift()
  }
}
