import type { LockId } from '#protocol'
import type { Lock } from '../state.js'

/** Milliseconds since 1970, and by a clock that nobody sets. */
export interface Clocks {
  readonly now: () => number
  readonly elapsed: () => number
}

/**
 * When locks end by themselves: when the time of day has come, and so much time has passed by the clock that nobody sets.
 * A clock that is set forward must not open anything.
 */
export class LockTimes {
  readonly #clocks: Clocks
  readonly #overAt = new Map<LockId, number>()

  constructor(clocks: Clocks) {
    this.#clocks = clocks
  }

  begin({ id, notAfter }: Lock): void {
    const { now, elapsed } = this.#clocks
    if (notAfter !== undefined && !this.#overAt.has(id)) this.#overAt.set(id, elapsed() + Math.max(0, notAfter - now()))
  }

  forget(id: LockId): void {
    this.#overAt.delete(id)
  }

  isOver({ id, notAfter = Infinity }: Lock): boolean {
    const { now, elapsed } = this.#clocks
    return notAfter <= now() && (this.#overAt.get(id) ?? 0) <= elapsed()
  }
}
