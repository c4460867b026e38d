import { type Rate, RateLimiter } from '#policy'
import type { DeviceId } from '#protocol'
import type { BrokerLimits } from './limits.js'

/**
 * How fast a device may change what it subscribes to. What changes is a record each time, so nobody may do that without
 * end. The budget is the device's: another session, or the same one anew, does not bring a new one.
 */
export class FilterRate {
  readonly #limiter: RateLimiter
  readonly #rate: Rate

  /** `elapsed`: milliseconds by a clock that nobody sets. */
  constructor({ filterChangesAtOnce, filterChangesPerSecond }: BrokerLimits, elapsed: () => number) {
    this.#limiter = new RateLimiter({ now: elapsed })
    this.#rate = { messages: filterChangesPerSecond, perMs: 1000, burst: filterChangesAtOnce }
  }

  /** Whether the device may subscribe to one filter more, or to the same one again. */
  admits(device: DeviceId): boolean {
    return this.#limiter.has(device, this.#rate)
  }

  /** For a filter that was granted or given up. To give up is always free to do, so it can leave a debt behind. */
  pay(device: DeviceId): void {
    this.#limiter.spend(device, this.#rate)
  }
}
