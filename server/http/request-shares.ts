import type { ServerResponse } from 'node:http'

export interface SharedRequests {
  readonly atOnce: number
  readonly ofSource: number
}

/** Bounds requests that cost much while they are open: all of them together, and those of one source. */
export class RequestShares {
  readonly #most: SharedRequests
  readonly #held = new Map<string, number>()
  #open = 0

  constructor(most: SharedRequests) {
    this.#most = most
  }

  /** False when there is no room; else it is held until the answer is over, however it ends. */
  take(source: string, response: ServerResponse): boolean {
    const held = this.#held.get(source) ?? 0
    if (this.#open >= this.#most.atOnce || held >= this.#most.ofSource) return false
    this.#open++
    this.#held.set(source, held + 1)
    response.once('close', () => this.#giveBack(source))
    return true
  }

  #giveBack(source: string): void {
    this.#open--
    const left = (this.#held.get(source) ?? 1) - 1
    if (left > 0) this.#held.set(source, left)
    else this.#held.delete(source)
  }
}
