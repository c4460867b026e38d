/** Whether sources should pause, and who wants to hear when that changes. */
export class Congestion {
  #on = false
  readonly #listeners = new Set<(congested: boolean) => void>()

  get on(): boolean {
    return this.#on
  }

  set(on: boolean): void {
    if (on === this.#on) return
    this.#on = on
    for (const listener of [...this.#listeners]) listener(on)
  }

  onChange(listener: (congested: boolean) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
