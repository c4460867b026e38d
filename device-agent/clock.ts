import { buildTime } from './build-time.js'

/**
 * The agent's own idea of time (enrollment spec §7). A device without a battery wakes up in 1970; what it knows then is
 * only that some instant has passed already: the floor. The floor rises with everything that the service proves, and
 * never falls. A clock that stands after the floor is believed.
 */
export class Clock {
  readonly #system: () => number
  readonly #monotonic: () => number
  #floor: number
  #floorSetAt: number
  #isSet = false

  /** `system` gives milliseconds since 1970, right or wrong; `monotonic` milliseconds that only ever grow. */
  constructor(options: { readonly system: () => number; readonly monotonic: () => number; readonly floor?: number }) {
    this.#system = options.system
    this.#monotonic = options.monotonic
    this.#floor = Math.max(buildTime, options.floor ?? 0)
    this.#floorSetAt = options.monotonic()
  }

  /** The best guess; exact unless `isOnlyAFloor`. */
  now(): number {
    return Math.max(this.#system(), this.#least())
  }

  /** The device's own clock is wrong, and nobody trusted has told the time yet: `now()` has passed, that is all. */
  get isOnlyAFloor(): boolean {
    return !this.#isSet && this.#system() < this.#least()
  }

  /**
   * When to judge something that is valid from `notBefore` on. While only a floor is known, that may well be after it:
   * whoever is trusted would not have signed it before its time.
   */
  toJudge(notBefore: number): number {
    return this.isOnlyAFloor ? Math.max(this.now(), notBefore) : this.now()
  }

  /**
   * As `toJudge` if `serverTime` were taken. Whoever tells the time is judged by it before it is believed: the floor
   * never falls again, and one that lies beyond every certificate would lock the device out for ever.
   */
  asTold(serverTime: number): Pick<Clock, 'toJudge'> {
    const at = Math.max(serverTime, this.now())
    return { toJudge: () => at }
  }

  /** Takes the time from a service that has proven itself; steps forward only. Returns the floor to keep over a restart. */
  set(serverTime: number): number {
    if (serverTime > this.#least()) {
      this.#floor = serverTime
      this.#floorSetAt = this.#monotonic()
    }
    this.#isSet = true
    return this.#floor
  }

  #least(): number {
    return this.#floor + this.#monotonic() - this.#floorSetAt
  }
}
