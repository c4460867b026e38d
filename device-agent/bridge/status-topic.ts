import type { BridgeLimits } from './limits.js'
import type { QueueSize } from './queue.js'

/** Where programs on the device read how the bridge is; it is answered here and never asked of the service. */
export const statusTopic = '$touchmark/status'

export type UpstreamState =
  | { readonly upstream: 'connected' | 'disconnected'; readonly since: string }
  /** The service does not let this device in: it may be revoked. Programs are not let in either until it does. */
  | { readonly upstream: 'refused'; readonly since: string; readonly reason: string }

/** What the service did not grant. */
export interface RefusedThing {
  readonly at: string
  readonly program?: string
  readonly action: 'publish' | 'subscribe'
  readonly topic: string
  readonly reason: string
}

export interface StatusOptions {
  readonly limits: BridgeLimits
  readonly now: () => number
  readonly queue: () => QueueSize
  /** Tells whoever listens. */
  readonly tell: (status: string) => void
  readonly log: (event: string, facts: Readonly<Record<string, string | number>>) => void
}

/** One JSON document with all there is to know, told anew when it has changed, but not all the time. */
export class StatusTopic {
  readonly #options: StatusOptions
  #state: UpstreamState
  #refused = 0
  #lastRefused: RefusedThing | undefined
  /** How many refusals the log has not heard of; it hears of the last, and how many those were. */
  #unlogged = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: StatusOptions) {
    this.#options = options
    this.#state = { upstream: 'disconnected', since: this.#nowText() }
  }

  get document(): string {
    const { messages, bytes, dropped } = this.#options.queue()
    return JSON.stringify({
      ...this.#state,
      queued: { messages, bytes },
      dropped,
      refused: this.#refused,
      ...(this.#lastRefused !== undefined && { lastRefused: this.#lastRefused }),
    })
  }

  is(upstream: 'connected' | 'disconnected'): void {
    this.#change({ upstream, since: this.#nowText() })
  }

  isRefused(reason: string): void {
    clearTimeout(this.#timer)
    this.#timer = undefined // they are about to be ended, and are to know why
    this.#change({ upstream: 'refused', since: this.#nowText(), reason })
  }

  /** To the log as well; a program that does not stop must not fill it. */
  refused(what: Omit<RefusedThing, 'at'>): void {
    this.#refused++
    this.#lastRefused = { at: this.#nowText(), ...what }
    this.#unlogged++
    this.#tellSoon()
  }

  /** A message of QoS 0, for want of room. */
  dropped(): void {
    this.#tellSoon()
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #change(state: UpstreamState): void {
    this.#state = state.upstream === this.#state.upstream ? { ...state, since: this.#state.since } : state
    this.#tellSoon()
  }

  /** At once, and after that not for a while. */
  #tellSoon(): void {
    if (this.#timer !== undefined) return
    let told: string | undefined
    const tell = (): void => {
      this.#timer = undefined
      if (this.document === told) return
      told = this.document
      this.#options.tell(told)
      this.#logRefusals()
      this.#timer = setTimeout(tell, this.#options.limits.statusEveryMs).unref()
    }
    tell()
  }

  #logRefusals(): void {
    if (this.#lastRefused === undefined || this.#unlogged === 0) return
    const { at: _, ...what } = this.#lastRefused
    this.#options.log('bridge refused', { ...what, ...(this.#unlogged > 1 && { count: this.#unlogged }) })
    this.#unlogged = 0
  }

  #nowText(): string {
    return new Date(this.#options.now()).toISOString()
  }
}
