import { createHash, randomBytes } from 'node:crypto'

/** Full by more than this, looking for a place would take long. */
const mostFilled = 0.6

/**
 * In which row a value stood first, for a million values and more: 12 bytes for each, instead of the value. It knows them
 * by 64 bits of a keyed hash, so that two values are one by chance once in some billions of files, and by design never.
 */
export class FirstRows {
  readonly #key = randomBytes(16)
  #hashes = new BigUint64Array(1024)
  #rows = new Uint32Array(1024)
  #count = 0

  /** The row where it stood before; undefined where it comes for the first time, and from then on this is that row. */
  note(value: string, row: number): number | undefined {
    if (this.#count >= this.#hashes.length * mostFilled) this.#grow()
    const hash = this.#hash(value)
    const at = this.#place(hash)
    if (this.#hashes[at] === hash) return this.#rows[at]
    this.#hashes[at] = hash
    this.#rows[at] = row
    this.#count++
    return undefined
  }

  /** Where it stands, or where it would. */
  #place(hash: bigint): number {
    const mask = this.#hashes.length - 1
    let at = Number(hash & BigInt(mask))
    while (this.#hashes[at] !== 0n && this.#hashes[at] !== hash) at = (at + 1) & mask
    return at
  }

  #grow(): void {
    const [hashes, rows] = [this.#hashes, this.#rows]
    this.#hashes = new BigUint64Array(hashes.length * 2)
    this.#rows = new Uint32Array(rows.length * 2)
    for (const [from, hash] of hashes.entries()) {
      if (hash === 0n) continue
      const at = this.#place(hash)
      this.#hashes[at] = hash
      this.#rows[at] = rows[from] ?? 0
    }
  }

  /** Zero says that a place is free. */
  #hash(value: string): bigint {
    const hash = createHash('sha256').update(this.#key).update(value).digest().readBigUInt64LE()
    return hash === 0n ? 1n : hash
  }
}
