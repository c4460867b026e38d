/** Where progress is shown: a terminal is written over in place, a file or a pipe gets a line now and then. */
export type ProgressStream = NodeJS.WritableStream & { readonly isTTY?: boolean }

/** Short work says nothing. */
const quietMilliseconds = 1000
const everyMilliseconds = { terminal: 200, other: 10_000 } as const

/** Says how far long work is, how fast it goes, and how long the rest will take. */
export class Progress {
  readonly #stream: ProgressStream
  readonly #now: () => number
  readonly #startedAt: number
  readonly #of: string
  #nextAt: number
  #isShown = false

  /** `now`: milliseconds by a clock that nobody sets; `of`: what is counted. */
  constructor(stream: ProgressStream, now: () => number, of = 'records') {
    this.#stream = stream
    this.#of = of
    this.#now = now
    this.#startedAt = now()
    this.#nextAt = this.#startedAt + (stream.isTTY === true ? quietMilliseconds : everyMilliseconds.other)
  }

  update(done: number, total: number): void {
    const now = this.#now()
    if (now < this.#nextAt || done === 0) return
    const isTerminal = this.#stream.isTTY === true
    this.#nextAt = now + (isTerminal ? everyMilliseconds.terminal : everyMilliseconds.other)
    const line = describeProgress(this.#of, { done, total, seconds: (now - this.#startedAt) / 1000 })
    this.#stream.write(isTerminal ? `\r${line}\x1b[K` : `${line}\n`)
    this.#isShown = isTerminal
  }

  /** Leaves the terminal as it was. */
  end(): void {
    if (this.#isShown) this.#stream.write('\r\x1b[K')
    this.#isShown = false
  }
}

interface Work {
  readonly done: number
  readonly total: number
  readonly seconds: number
}

/** `1,245,184 of 9,000,000 records, 13 %, 312,000 a second, 25 s left` */
function describeProgress(of: string, { done, total, seconds }: Work): string {
  const rate = done / seconds
  const left = Math.ceil((total - done) / rate)
  const share = Math.floor((done / total) * 100)
  return `${count(done)} of ${count(total)} ${of}, ${share} %, ${count(rate)} a second, ${duration(left)} left`
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en')
}

function duration(seconds: number): string {
  return seconds < 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`
}
