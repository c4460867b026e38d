import { busy } from './errors.js'

/** What all joins together may cost us. */
export interface LimitOptions {
  /** Requests of one address, or with one certificate: so many at once, then so many per second. Default 200 and 20. */
  readonly perAddress?: { readonly burst: number; readonly perSecond: number }
  /** Requests whose signatures are being checked or made at the same time. Default 64. */
  readonly concurrent?: number
  /** Of these, how many may be for callers who have proven nothing yet; the rest is kept for the others. Default 48. */
  readonly concurrentStrangers?: number
  /** Who has proven something waits for a place, so many at once: a handshake costs us more than the wait. Default 256. */
  readonly waiting?: number
}

const defaults = {
  perAddress: { burst: 200, perSecond: 20 },
  concurrent: 64,
  concurrentStrangers: 48,
  waiting: 256,
} as const satisfies Required<LimitOptions>

/** Beyond this many callers at once the longest unseen is forgotten: no flood of addresses grows our memory. */
const maxCallers = 10_000

/** How long it takes to forget how busy it was; and who is turned away comes again within so long, however busy it is. */
const memoryMs = 10_000
const mostRetrySeconds = 60

/** `proven`: holds a join token's secret, a certificate of ours, or has answered a challenge. */
export type Caller = 'stranger' | 'proven'

interface Bucket {
  tokens: number
  at: number
}

/** Bounds the work that callers can make us do; over a bound they are told when to come again. */
export class Limits {
  readonly #options: Required<LimitOptions>
  readonly #now: () => number
  readonly #buckets = new Map<string, Bucket>()
  readonly #working = { stranger: 0, proven: 0 }
  readonly #waiting: (() => void)[] = []
  readonly #lately: { at: number; done: number; refused: number } = { at: 0, done: 0, refused: 0 }

  constructor(now: () => number, options: LimitOptions = {}) {
    this.#options = { ...defaults, ...options }
    this.#now = now
  }

  /**
   * Counts a request by whoever made it (an address, or a certificate of ours), whatever becomes of it. One that is over
   * the limit costs nothing more: neighbours of a flood share what there is with it. @throws EnrollmentError BUSY
   */
  arrive(caller: string): void {
    const { burst, perSecond } = this.#options.perAddress
    const now = this.#now()
    const before = this.#buckets.get(caller) ?? { tokens: burst, at: now }
    const passed = Math.max(0, now - before.at) / 1000
    const tokens = Math.min(burst, before.tokens + passed * perSecond)
    this.#remember(caller, { tokens: tokens < 1 ? tokens : tokens - 1, at: now })
    if (tokens < 1) throw busy('too many requests from here', Math.ceil((1 - tokens) / perSecond))
  }

  /** Does the work when there is room for this kind of caller. @throws EnrollmentError BUSY, and what the work throws */
  async work<T>(caller: Caller, work: () => Promise<T>): Promise<T> {
    if (this.#hasRoom(caller)) this.#working[caller]++
    else if (caller === 'stranger' || this.#waiting.length >= this.#options.waiting) throw this.#turnAway()
    else await new Promise<void>((begin) => this.#waiting.push(begin))
    try {
      return await work()
    } finally {
      this.#end(caller)
    }
  }

  #end(caller: Caller): void {
    this.#working[caller]--
    this.#recent().done++
    const next = this.#waiting.shift()
    if (next === undefined) return
    this.#working.proven++ // at once: nobody else may take this place
    next()
  }

  #hasRoom(caller: Caller): boolean {
    const { concurrent, concurrentStrangers } = this.#options
    if (caller === 'stranger' && this.#working.stranger >= concurrentStrangers) return false
    return this.#waiting.length === 0 && this.#working.stranger + this.#working.proven < concurrent
  }

  /** After as long as all will take who were turned away of late: a fleet that is told "one second" comes back as one. */
  #turnAway(): Error {
    const recent = this.#recent()
    const seconds = (++recent.refused / Math.max(recent.done, 1)) * (memoryMs / 1000)
    return busy('too many joins at the same time', Math.min(Math.ceil(seconds), mostRetrySeconds))
  }

  /** What was done and refused, of which half is forgotten every so often. */
  #recent(): { done: number; refused: number } {
    const lately = this.#lately
    const passed = this.#now() - lately.at
    if (passed < 0 || passed >= memoryMs) {
      const kept = passed < 2 * memoryMs && passed >= 0 ? 0.5 : 0
      Object.assign(lately, { at: this.#now(), done: lately.done * kept, refused: lately.refused * kept })
    }
    return lately
  }

  #remember(caller: string, bucket: Bucket): void {
    this.#buckets.delete(caller) // to the end: a Map keeps the order in which keys were added
    this.#buckets.set(caller, bucket)
    const [oldest] = this.#buckets.keys()
    if (this.#buckets.size > maxCallers && oldest !== undefined) this.#buckets.delete(oldest)
  }
}
