import type { TrustedMakers } from '../maker.js'
import { busy, EnrollmentError } from '../errors.js'
import type { Caller } from '../limits.js'
import { Lanes } from './lanes.js'
import { type Job, type ThreadEnd, VerifierThread } from './thread.js'
import type { Timer } from '../timer.js'
import type { Verifier } from './verifier.js'
import type { Given, Shown, WorkName } from './work.js'

export interface VerifierPoolOptions {
  readonly makers: TrustedMakers
  /** For whoever looks after the service. */
  readonly warn: (sentence: string) => void
  readonly bounds?: Partial<VerifierBounds>
  /** What a thread runs. Default: `worker.ts` */
  readonly script?: URL
  /** Default: the system's */
  readonly timer?: Timer
}

export interface VerifierBounds {
  readonly threads: number
  /** So many pieces of work may wait for a thread; who comes then is told to come again. */
  readonly waiting: number
  readonly answerMs: number
  readonly heapMb: number
}

/** One thread can verify more than the rest of the service can let in, and leaves the other cores to the broker. */
export const verifierBounds: VerifierBounds = { threads: 1, waiting: 64, answerMs: 10_000, heapMb: 128 }

const ourScript = new URL('./worker.js', import.meta.url)

/**
 * Threads that verify, started when there is something to verify, so that the broker goes on meanwhile. What ends one of
 * them fails what it was at, and nothing else: whatever waits is done by the next.
 */
export class VerifierPool implements Verifier {
  readonly #options: VerifierPoolOptions
  readonly #bounds: VerifierBounds
  readonly #waiting = new Lanes<Job>()
  readonly #threads = new Set<VerifierThread>()
  #closed = false

  constructor(options: VerifierPoolOptions) {
    this.#options = options
    this.#bounds = { ...verifierBounds, ...options.bounds }
  }

  verify<Name extends WorkName>(name: Name, given: Given[Name], caller: Caller): Promise<Shown[Name]> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(stopping())
      if (this.#waiting.size >= this.#bounds.waiting) return reject(busy('too much waits to be verified', 1))
      const job: Job<Name> = { question: { name, given }, caller, resolve, reject }
      this.#waiting.push(caller, job)
      this.#handOut()
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#failWaiting(stopping())
    await Promise.all([...this.#threads].map((thread) => thread.end()))
  }

  #handOut(): void {
    try {
      while (this.#waiting.size > 0) {
        const thread = this.#freeThread()
        if (thread === undefined) return
        const job = this.#waiting.take()
        if (job !== undefined) thread.give(job)
      }
    } catch (cause) {
      this.#failWaiting(failed('no thread can be started', { cause }))
    }
  }

  #freeThread(): VerifierThread | undefined {
    const threads = [...this.#threads]
    const idle = threads.find(({ isIdle }) => isIdle)
    if (idle !== undefined) return idle
    return threads.length < this.#bounds.threads ? this.#start() : threads.find(({ hasRoom }) => hasRoom)
  }

  #start(): VerifierThread {
    const { makers, script = ourScript, timer = startTimer } = this.#options
    const thread = new VerifierThread({
      ...{ script, makers, timer, ...this.#bounds },
      onAnswer: () => this.#handOut(),
      onEnd: (end) => this.#ended(thread, end),
    })
    this.#threads.add(thread)
    return thread
  }

  #ended(thread: VerifierThread, { why, lost, left }: ThreadEnd): void {
    this.#threads.delete(thread)
    for (const job of [...left].reverse()) this.#waiting.putBack(job.caller, job)
    if (this.#closed) {
      for (const job of lost) job.reject(stopping())
      return this.#failWaiting(stopping())
    }
    for (const job of lost) job.reject(failed('what verifies evidence has failed'))
    this.#options.warn(`the thread that verifies joins is started anew: ${why}`)
    this.#handOut()
  }

  #failWaiting(error: EnrollmentError): void {
    for (let job = this.#waiting.take(); job !== undefined; job = this.#waiting.take()) job.reject(error)
  }
}

function startTimer(milliseconds: number, then: () => void): () => void {
  const timer = setTimeout(then, milliseconds)
  return () => clearTimeout(timer)
}

function failed(problem: string, options: ErrorOptions = {}): EnrollmentError {
  return new EnrollmentError('VERIFIER_FAILED', problem, { ...options, retryAfterSeconds: 1 })
}

function stopping(): EnrollmentError {
  return busy('the service stops', 1)
}
