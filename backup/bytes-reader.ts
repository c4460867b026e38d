/** Reads what comes in chunks of any size, so many bytes at a time. */
export class BytesReader {
  readonly #chunks: AsyncIterator<Uint8Array>
  #left: Buffer = Buffer.alloc(0)

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** Fewer where it ends before. */
  async read(length: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    for (let missing = length; missing > 0;) {
      if (!(await this.#hasMore())) break
      const piece = this.#left.subarray(0, missing)
      this.#left = this.#left.subarray(piece.length)
      pieces.push(piece)
      missing -= piece.length
    }
    const [only] = pieces
    return only && pieces.length === 1 ? only : Buffer.concat(pieces)
  }

  async isAtEnd(): Promise<boolean> {
    return !(await this.#hasMore())
  }

  async #hasMore(): Promise<boolean> {
    while (this.#left.length === 0) {
      const next = await this.#chunks.next()
      if (next.done) return false
      this.#left = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength)
    }
    return true
  }
}
