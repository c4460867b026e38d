import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { timeOf } from '../entries/read-entry.js'
import { AuditError } from '../errors.js'
import { layout } from '../layout.js'
import { bundlePath, decodeBundle, tileWidth } from '../tree/tiles.js'
import { orNothing } from '../or-nothing.js'

/** So many bundles share a folder; of one in which nothing changes only the sum is remembered. */
const bundlesPerFolder = 1000

/** The complete bundles of a log on disk. */
export class BundlesOnDisk {
  readonly #folder: string
  readonly #signal: AbortSignal | undefined
  readonly #sums = new Map<number, number>()

  /** Whatever is asked after the signal fails with its reason. */
  constructor(directory: string, signal?: AbortSignal) {
    this.#folder = layout.log(directory)
    this.#signal = signal
  }

  /** Bytes of all from one up to, not with, another. @throws AuditError AUDIT_CORRUPT: one is missing */
  async bytes(from: number, to: number): Promise<number> {
    let sum = 0
    for (let at = from; at < to;) {
      const folder = Math.floor(at / bundlesPerFolder)
      const end = Math.min((folder + 1) * bundlesPerFolder, to)
      const isWhole = end - at === bundlesPerFolder
      const known = isWhole ? this.#sums.get(folder) : undefined
      const bytes = known ?? (await this.#sum(at, end))
      if (isWhole) this.#sums.set(folder, bytes)
      else this.#sums.delete(folder)
      sum += bytes
      at = end
    }
    return sum
  }

  async bytesOf(index: number): Promise<number> {
    this.#signal?.throwIfAborted()
    return (await stat(this.#pathOf(index)).catch(unreadable(index))).size
  }

  /** Milliseconds since 1970; clocks are set back, so it need not be that of the last record. @throws AuditError AUDIT_CORRUPT */
  async newestTime(index: number): Promise<number> {
    this.#signal?.throwIfAborted()
    const bundle = await readFile(this.#pathOf(index)).catch(unreadable(index))
    return Math.max(...decodeBundle(bundle, tileWidth, bundlePath(index)).map(timeOf))
  }

  /** Paths of what is there below a bundle, the oldest first. */
  async *below(end: number): AsyncGenerator<string, void> {
    for await (const path of bundlesBelow(join(this.#folder, 'tile', 'entries'), 0, end)) {
      this.#signal?.throwIfAborted()
      yield path
    }
  }

  async #sum(from: number, to: number): Promise<number> {
    let sum = 0
    for (let index = from; index < to; index++) sum += await this.bytesOf(index)
    return sum
  }

  #pathOf(index: number): string {
    return join(this.#folder, bundlePath(index))
  }
}

function unreadable(index: number): (cause: unknown) => never {
  return (cause) => {
    throw new AuditError('AUDIT_CORRUPT', `cannot read ${bundlePath(index)}`, { cause, sequence: index * tileWidth })
  }
}

/** A folder for every three digits but the last (C2SP tlog-tiles); `above` is the number that its path stands for. */
async function* bundlesBelow(folder: string, above: number, end: number): AsyncGenerator<string, void> {
  const names = (await readdir(folder).catch(orNothing([]))).sort()
  for (const name of names) {
    if (/^\d{3}$/.test(name) && above * 1000 + Number(name) < end) yield join(folder, name)
  }
  for (const name of names) {
    const number = above * 1000 + Number(name.slice(1))
    if (/^x\d{3}$/.test(name) && number * 1000 < end) yield* bundlesBelow(join(folder, name), number, end)
  }
}
