import { TpmError } from '../errors.js'

/** Reads TPM structures (big endian, Part 1 §5.2); every read is bounded by what is there. */
export class TpmReader {
  /** No Buffer: its `slice` shares memory. */
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor({ buffer, byteOffset, byteLength }: Uint8Array) {
    this.#bytes = new Uint8Array(buffer, byteOffset, byteLength)
    this.#view = new DataView(buffer, byteOffset, byteLength)
  }

  uint8(): number {
    return this.#view.getUint8(this.#take(1))
  }

  uint16(): number {
    return this.#view.getUint16(this.#take(2))
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4))
  }

  uint64(): bigint {
    return this.#view.getBigUint64(this.#take(8))
  }

  /** TPMI_YES_NO (Part 2 §9.2). */
  yesNo(): boolean {
    const value = this.uint8()
    if (value > 1) throw new TpmError('STRUCTURE_INVALID', `${value} is neither YES nor NO`)
    return value === 1
  }

  /** A copy, so that what is decoded outlives the buffer it came in. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length)
    return this.#bytes.slice(start, start + length)
  }

  /** Contents of a TPM2B (Part 2 §10.4): a size in two bytes, then as many bytes, at most `limit`. */
  sized(limit: number): Uint8Array {
    const size = this.uint16()
    if (size > limit)
      throw new TpmError('STRUCTURE_INVALID', `a field of ${size} bytes where at most ${limit} can stand`)
    return this.bytes(size)
  }

  /** Whatever follows; used where the last field carries no size of its own. */
  rest(): Uint8Array {
    return this.bytes(this.#bytes.length - this.#at)
  }

  /** To be called when everything was read: bytes left over are a second meaning that nobody checked. */
  end(): void {
    const left = this.#bytes.length - this.#at
    if (left > 0) throw new TpmError('STRUCTURE_INVALID', `${left} bytes after the end of the structure`)
  }

  /** Where the next `length` bytes stand. */
  #take(length: number): number {
    const start = this.#at
    if (start + length > this.#bytes.length) throw new TpmError('STRUCTURE_INVALID', 'the structure is truncated')
    this.#at += length
    return start
  }
}

/** Writes TPM structures; each call appends, `encoded()` ends the sentence. */
export class TpmWriter {
  readonly #parts: Uint8Array[] = []

  uint8(value: number): this {
    return this.bytes(Uint8Array.of(value))
  }

  uint16(value: number): this {
    const part = Buffer.alloc(2)
    part.writeUInt16BE(value)
    return this.bytes(part)
  }

  uint32(value: number): this {
    const part = Buffer.alloc(4)
    part.writeUInt32BE(value)
    return this.bytes(part)
  }

  uint64(value: bigint): this {
    const part = Buffer.alloc(8)
    part.writeBigUInt64BE(value)
    return this.bytes(part)
  }

  bytes(value: Uint8Array): this {
    this.#parts.push(value)
    return this
  }

  /** A TPM2B: the size in two bytes, then the bytes. */
  sized(value: Uint8Array): this {
    return this.uint16(value.length).bytes(value)
  }

  encoded(): Uint8Array {
    const encoded = new Uint8Array(this.#parts.reduce((length, part) => length + part.length, 0))
    let at = 0
    for (const part of this.#parts) {
      encoded.set(part, at)
      at += part.length
    }
    return encoded
  }
}
