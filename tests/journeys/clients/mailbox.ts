import type { Heard } from './client.js'

const patienceMs = 60_000

/** What a listener has heard, and those who wait for more of it. */
export class Mailbox {
  readonly heard: Heard[] = []
  readonly #waiting = new Set<() => void>()

  take(heard: Heard): void {
    this.heard.push(heard)
    for (const look of this.#waiting) look()
  }

  hears(count: number): Promise<readonly Heard[]> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.heard.length < count) return
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve(this.heard)
      }
      const timer = setTimeout(() => {
        reject(new Error(`heard ${this.heard.length} of ${count}: ${JSON.stringify(this.heard)}`))
      }, patienceMs)
      this.#waiting.add(look)
      look()
    })
  }
}
