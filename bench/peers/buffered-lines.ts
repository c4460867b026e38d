import { closeSync, openSync, write } from 'node:fs'

const flushBytes = 256 * 1024
const flushMilliseconds = 10

/** Lines for a file, gathered for a moment and then written together, without blocking; nothing is synced. */
export class BufferedLines {
  readonly #file: number
  #lines = ''
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(path: string) {
    this.#file = openSync(path, 'a')
  }

  write(line: string): void {
    this.#lines += line + '\n'
    if (this.#lines.length >= flushBytes) this.#flush()
    else this.#timer ??= setTimeout(() => this.#flush(), flushMilliseconds)
  }

  async close(): Promise<void> {
    this.#flush()
    await this.#writing
    closeSync(this.#file)
  }

  #flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const lines = this.#lines
    this.#lines = ''
    if (lines === '') return
    this.#writing = this.#writing.then(
      () =>
        new Promise((resolve, reject) => {
          write(this.#file, lines, (error) => (error ? reject(error) : resolve()))
        }),
    )
  }
}
