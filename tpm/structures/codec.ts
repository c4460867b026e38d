import { TpmError } from '../errors.js'

/** Reads TPM structures (big endian, Part 1 §5.2); every read is bounded by what is there. */
export class TpmReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  uint8(): number {
    return this.#take(1).readUInt8()
  }

  uint16(): number {
    return this.#take(2).readUInt16BE()
  }

  uint32(): number {
    return this.#take(4).readUInt32BE()
  }

  uint64(): bigint {
    return this.#take(8).readBigUInt64BE()
  }

  /** A copy, so that what is decoded outlives the buffer it came in. */
  bytes(length: number): Uint8Array {
    return Uint8Array.from(this.#take(length))
  }

  /** Contents of a TPM2B: a size in two bytes, then as many bytes, at most `limit`. */
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

  #take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new TpmError('STRUCTURE_INVALID', 'the structure is truncated')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
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
    return Uint8Array.from(Buffer.concat(this.#parts))
  }
}
