import { TpmError } from '../errors.js'

/** Reads what firmware has written (little endian, unlike all that a TPM writes); every read is bounded by what is there. */
export class FirmwareReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  uint8(): number {
    return this.#take(1).readUInt8()
  }

  uint16(): number {
    return this.#take(2).readUInt16LE()
  }

  uint32(): number {
    return this.#take(4).readUInt32LE()
  }

  /** A size or an address that has to be one of this log, and so is never beyond what a number holds. */
  uint64(): number {
    const value = this.#take(8).readBigUInt64LE()
    return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value)
  }

  /** A view, not a copy: a log and what was read of it live and die together. */
  bytes(length: number): Uint8Array {
    return this.#take(length)
  }

  /** UCS-2, so many characters. */
  text16(characters: number): string {
    return this.#take(characters * 2).toString('utf16le')
  }

  /** The 16 bytes of an EFI_GUID, the first three fields of which are numbers. */
  guid(): string {
    const number = (size: number) => Buffer.from(this.#take(size)).reverse().toString('hex')
    const text = (size: number) => this.#take(size).toString('hex')
    return `${number(4)}-${number(2)}-${number(2)}-${text(2)}-${text(6)}`
  }

  /** To be called when everything was read. */
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
