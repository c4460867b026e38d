import { type Tpm, TpmError } from '#tpm'
import { AgentError } from './errors.js'

/** Has a TPM do something, which may be in use by others at the same time. */
export interface TpmAccess {
  use<T>(work: (tpm: Tpm) => Promise<T>): Promise<T>
}

export interface SharedTpmOptions {
  readonly open: () => Promise<Tpm>
  /** How long it stays open for a next use; a handshake asks more than once. Default 1,000. */
  readonly idleMs?: number
  /** How long one use may take, however it hangs. Default 120,000: some chips take seconds for every command. */
  readonly mostMs?: number
}

/**
 * One TPM for all keys of this device that live in it. It is open while it is used and no longer, because a TPM may let
 * in one user at a time; and opened anew after a failure, because it may have been unplugged, reset or asleep. Whatever
 * it does, a use ends.
 */
export class SharedTpm implements TpmAccess {
  readonly #options: Required<SharedTpmOptions>
  readonly #closing = new AbortController()
  #tpm: Promise<Tpm> | undefined
  #users = 0
  #idle: NodeJS.Timeout | undefined
  /** The one of before has let go; until then the next would wait in line behind it. */
  #released: Promise<void> = Promise.resolve()
  #closed: Promise<void> | undefined

  constructor(options: SharedTpmOptions) {
    this.#options = { idleMs: 1_000, mostMs: 120_000, ...options }
  }

  /** @throws TpmError; AgentError KEY_UNAVAILABLE when it takes too long or is closed; and what the work throws */
  async use<T>(work: (tpm: Tpm) => Promise<T>): Promise<T> {
    clearTimeout(this.#idle)
    this.#users++
    const opening = (this.#tpm ??= this.#released.then(() => this.#options.open()))
    try {
      return await this.#inTime(opening.then(work))
    } catch (error) {
      if (error instanceof TpmError || error instanceof AgentError) this.#release(opening)
      throw error
    } finally {
      this.#users--
      if (this.#users === 0) this.#idle = setTimeout(() => this.#release(opening), this.#options.idleMs).unref()
    }
  }

  /** What is being done ends now, and nothing more is begun. A TPM that hangs in it lets go when it comes to itself. */
  close(): Promise<void> {
    return (this.#closed ??= this.#closeNow())
  }

  async #closeNow(): Promise<void> {
    const isIdle = this.#users === 0
    clearTimeout(this.#idle)
    this.#closing.abort()
    this.#release(this.#tpm)
    if (isIdle) await this.#released
  }

  #release(opened: Promise<Tpm> | undefined): void {
    if (opened === undefined || this.#tpm !== opened) return // another one is open by now
    this.#tpm = undefined
    this.#released = opened.then((tpm) => tpm.close()).catch(() => undefined) // what failed to open is closed
  }

  async #inTime<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.#closing
    let timer: NodeJS.Timeout | undefined
    let close: (() => void) | undefined
    const late = new Promise<never>((_, reject) => {
      const { mostMs } = this.#options
      timer = setTimeout(() => reject(unavailable(`did not finish within ${mostMs / 1000} s`)), mostMs)
      close = () => reject(unavailable('was closed'))
      signal.addEventListener('abort', close)
      if (signal.aborted) close()
    })
    try {
      return await Promise.race([work, late])
    } finally {
      clearTimeout(timer)
      if (close) signal.removeEventListener('abort', close)
      work.catch(() => undefined) // when it lost the race, nobody else hears of it
    }
  }
}

function unavailable(problem: string): AgentError {
  return new AgentError('KEY_UNAVAILABLE', `the TPM ${problem}`)
}
