import type { Traffic } from '#protocol'

/** Rates are those of the last one or two such spans. */
const spanMilliseconds = 5_000

interface Mark {
  readonly at: number
  readonly in: number
  readonly out: number
}

/** What one connection has said and heard since it began, and how fast it does so now. */
export class TrafficMeter {
  messagesIn = 0
  messagesOut = 0
  bytesIn = 0
  bytesOut = 0
  #older: Mark
  #newer: Mark

  constructor(now: number) {
    this.#older = this.#newer = { at: now, in: 0, out: 0 }
  }

  /** Called every now and then; without it, rates are means since the beginning. */
  mark(now: number): void {
    if (now - this.#newer.at < spanMilliseconds) return
    this.#older = this.#newer
    this.#newer = { at: now, in: this.messagesIn, out: this.messagesOut }
  }

  /** Messages a second. A connection's first second counts as a whole one. */
  rates(now: number): Traffic {
    const seconds = Math.max((now - this.#older.at) / 1000, 1)
    return { in: (this.messagesIn - this.#older.in) / seconds, out: (this.messagesOut - this.#older.out) / seconds }
  }
}
