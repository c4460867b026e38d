import type { CertificateSerial, DeviceId } from '#protocol'
import type { BrokerLimits } from './limits.js'
import type { Statistics } from './statistics.js'
import type { Trail } from './trail.js'

/** A connection that never became a session. */
export interface Refused {
  /** The address, without the port: a caller has as many ports as it likes. */
  readonly peer: string
  readonly reason: string
  readonly comment?: string
  readonly device?: DeviceId
  readonly clientId?: string
  readonly serial?: CertificateSerial
}

/**
 * Refusals of callers cost them nothing, so they must not fill the log: the first of a source and reason is recorded at
 * once, those that follow within a window of time together as one record with their exact number.
 */
export class Refusals {
  readonly #trail: Trail
  readonly #statistics: Statistics
  readonly #limits: BrokerLimits
  readonly #elapsed: () => number
  readonly #windows = new Map<string, { readonly refused: Refused; readonly since: number; count: number }>()

  /** `elapsed`: milliseconds by a clock that nobody sets. */
  constructor(trail: Trail, statistics: Statistics, limits: BrokerLimits, elapsed: () => number) {
    this.#trail = trail
    this.#statistics = statistics
    this.#limits = limits
    this.#elapsed = elapsed
  }

  record(refused: Refused): void {
    this.#statistics.refusals.add(refused.reason)
    const many = this.#windows.size >= this.#limits.maxRefusedPeers
    const key = many ? refused.reason : `${refused.peer} ${refused.reason} ${refused.device ?? ''}`
    const window = this.#windows.get(key)
    if (window) {
      window.count++
      return
    }
    this.#windows.set(key, { refused, since: this.#elapsed(), count: 0 })
    this.#trail.recordIfPossible({ event: 'session.refuse', ...refused, count: 1 })
  }

  /** Records what the windows that have passed held; called every now and then, and with `all` at the end. */
  sweep({ all = false } = {}): void {
    for (const [key, { refused, since, count }] of this.#windows) {
      if (!all && this.#elapsed() - since < this.#limits.refusalWindowSeconds * 1000) continue
      this.#windows.delete(key)
      if (count > 0) this.#trail.recordIfPossible({ event: 'session.refuse', ...refused, count })
    }
  }
}
