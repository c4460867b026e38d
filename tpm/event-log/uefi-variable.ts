import { TpmError } from '../errors.js'
import { FirmwareReader } from './reader.js'

/** UEFI_VARIABLE_DATA (§10.2.6). */
export interface UefiVariable {
  /** The GUID of whoever gives the name its meaning. */
  readonly vendor: string
  readonly name: string
  readonly value: Uint8Array
}

/** EFI_GLOBAL_VARIABLE, to which SecureBoot, PK and KEK belong (UEFI 2.10 §3.3). */
export const globalVariable = '8be4df61-93ca-11d2-aa0d-00e098032b8c'

const maxNameCharacters = 512

/** Undefined where the data is something else. */
export function decodeUefiVariable(data: Uint8Array): UefiVariable | undefined {
  try {
    const reader = new FirmwareReader(data)
    const vendor = reader.guid()
    const characters = reader.uint64()
    const bytes = reader.uint64()
    if (characters > maxNameCharacters) return undefined
    const variable = { vendor, name: reader.text16(characters), value: reader.bytes(bytes) }
    reader.end()
    return variable
  } catch (error) {
    if (error instanceof TpmError) return undefined
    throw error
  }
}

/** For firmware in software. */
export function encodeUefiVariable({ vendor, name, value }: UefiVariable): Uint8Array {
  const [first = '', second = '', third = '', ...rest] = vendor.split('-')
  const numbers = [first, second, third].map((hex) => Buffer.from(hex, 'hex').reverse())
  const sizes = Buffer.alloc(16)
  sizes.writeBigUInt64LE(BigInt(name.length))
  sizes.writeBigUInt64LE(BigInt(value.length), 8)
  return Buffer.concat([...numbers, Buffer.from(rest.join(''), 'hex'), sizes, Buffer.from(name, 'utf16le'), value])
}
