import { Worker } from 'node:worker_threads'
import { asError } from '#protocol'
import type { TrustedMakers } from '../maker.js'
import { EnrollmentError } from '../errors.js'
import type { Caller } from '../limits.js'
import type { Timer } from '../timer.js'
import type { Answer, Question } from './messages.js'
import type { Shown, WorkName } from './work.js'

/** A piece of work, and who waits for it. */
export interface Job<Name extends WorkName = WorkName> {
  readonly question: Question<Name>
  readonly caller: Caller
  resolve(shown: Shown[Name]): void
  reject(error: Error): void
}

export interface ThreadOptions {
  readonly script: URL
  readonly makers: TrustedMakers
  /** A piece of work may take so long, the start of the thread included; then the thread is ended. */
  readonly answerMs: number
  readonly heapMb: number
  /** Keeps the process going until then. */
  readonly timer: Timer
  /** It has room for more. */
  readonly onAnswer: () => void
  readonly onEnd: (end: ThreadEnd) => void
}

export interface ThreadEnd {
  readonly why: string
  /** What it was at when it ended, and maybe for that reason: not to be tried again. */
  readonly lost: readonly Job[]
  /** What it had not begun. */
  readonly left: readonly Job[]
}

/** The next piece of work lies there when one is done; more would only have to be given back. */
const mostAtHand = 2

/** One thread that verifies, and what it has at hand; it answers in the order in which it was asked. */
export class VerifierThread {
  readonly #options: ThreadOptions
  readonly #worker: Worker
  readonly #atHand: Job[] = []
  #hasAnswered = false
  #why = 'it has ended by itself'
  #forget: () => void = () => undefined

  /** @throws Error where no thread can be started */
  constructor(options: ThreadOptions) {
    const { script, makers, heapMb } = options
    this.#options = options
    this.#worker = new Worker(script, { workerData: makers, resourceLimits: { maxOldGenerationSizeMb: heapMb } })
    this.#worker.unref() // while it is asked something, the timer keeps the process going
    this.#worker.on('message', (answer: Answer) => this.#receive(answer))
    this.#worker.on('error', (error: Error) => (this.#why = error.message))
    this.#worker.on('exit', () => this.#ended())
  }

  get isIdle(): boolean {
    return this.#atHand.length === 0
  }

  get hasRoom(): boolean {
    return this.#atHand.length < mostAtHand
  }

  /** What cannot travel fails by itself. */
  give(job: Job): void {
    try {
      this.#worker.postMessage(job.question)
    } catch (error) {
      return job.reject(asError(error))
    }
    this.#atHand.push(job)
    if (this.#atHand.length === 1) this.#beginToWait()
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  #receive(answer: Answer): void {
    const job = this.#atHand.shift()
    this.#hasAnswered = true
    this.#beginToWait()
    if (job !== undefined) settle(job, answer)
    this.#options.onAnswer()
  }

  #beginToWait(): void {
    const { timer, answerMs } = this.#options
    this.#forget()
    if (this.isIdle) return
    this.#forget = timer(answerMs, () => {
      this.#why = `it gave no answer within ${answerMs} ms`
      void this.end()
    })
  }

  /** One that never answered anything may not even have started, and would fail the next in line the same way. */
  #ended(): void {
    this.#forget()
    const lost = this.#atHand.splice(0, this.#hasAnswered ? 1 : mostAtHand)
    this.#options.onEnd({ why: this.#why, lost, left: this.#atHand.splice(0) })
  }
}

function settle(job: Job, answer: Answer): void {
  if ('shown' in answer) job.resolve(answer.shown)
  else if ('refused' in answer) job.reject(new EnrollmentError(answer.refused.code, answer.refused.message))
  else job.reject(new Error(answer.failed))
}
