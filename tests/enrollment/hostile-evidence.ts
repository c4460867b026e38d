import assert from 'node:assert/strict'
import { CodedError, type TpmJoinRequest } from '#protocol'

type Change = (bytes: Uint8Array) => readonly Uint8Array[]

/** Cut at every byte, and one byte longer. */
export const cutOrExtended: Change = (bytes) => [
  ...Array.from({ length: bytes.length }, (_, at) => bytes.slice(0, at)),
  Uint8Array.from([...bytes, 0]),
]

/** One bit of every byte in turn. */
export const bitFlipped: Change = (bytes) =>
  Array.from({ length: bytes.length }, (_, at) => bytes.with(at, (bytes[at] ?? 0) ^ 0x04))

type Part = 'ekPublic' | 'akPublic' | 'keyPublic' | 'csr'

/** The request with each of the named parts, and each of its certify's, changed in every way given. */
export function* variants<Name extends Part>(
  good: Pick<TpmJoinRequest, Name | 'certify'>,
  parts: readonly Name[],
  change: Change,
): Iterable<readonly [name: string, changed: Partial<Pick<TpmJoinRequest, Part | 'certify'>>]> {
  for (const part of parts) {
    for (const bytes of change(good[part])) yield [part, { [part]: bytes }]
  }
  for (const part of ['attest', 'signature'] as const) {
    for (const bytes of change(good.certify[part])) yield [part, { certify: { ...good.certify, [part]: bytes } }]
  }
}

/** In a code of ours, and not because there was too much at once. */
export function isRefusal(part: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CodedError && error.name === 'EnrollmentError', `${part}: ${String(error)}`)
    assert.notEqual(error.code, 'BUSY')
    return true
  }
}
