import { TpmError } from '../errors.js'

const maxWaiting = 256

/** Runs one task at a time, in the order in which they came. More than 256 at once are refused with TPM_BUSY. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0

  async take<T>(task: () => Promise<T>): Promise<T> {
    if (this.#waiting >= maxWaiting) throw new TpmError('TPM_BUSY', `${maxWaiting} tasks wait for the TPM already`)
    this.#waiting++
    const result = this.#last.then(task).finally(() => this.#waiting--)
    this.#last = result.catch(() => undefined)
    return result
  }

  /** Resolves when all that has come so far is done, however it ended. */
  async idle(): Promise<void> {
    await this.#last
  }
}
