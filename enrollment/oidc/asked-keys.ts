import { setImmediate } from 'node:timers/promises'
import { CodedError, decodeBase64url, type Fingerprint } from '#protocol'
import { readCsrKey } from '#x509'
import { EnrollmentError } from '../errors.js'

/** A key that a job asks a certificate for, and the CSR that is to prove it. */
export interface AskedKey {
  readonly csr: Uint8Array
  readonly spkiHash: Fingerprint
}

/** So many are read in one go: a thousand would keep everybody else waiting. */
const readTogether = 32

/** What is asked for, none of it proven yet. @throws EnrollmentError CSR_INVALID, CSR_REPEATED */
export async function readAskedKeys(csrs: readonly string[]): Promise<readonly AskedKey[]> {
  const places = new Map<Fingerprint, number>()
  const keys: AskedKey[] = []
  for (const [at, text] of csrs.entries()) {
    if (at > 0 && at % readTogether === 0) await setImmediate()
    const key = await ofCsr(at, () => readAskedKey(text))
    const before = places.get(key.spkiHash)
    if (before !== undefined) {
      throw new EnrollmentError('CSR_REPEATED', `csrs[${before}] and csrs[${at}] are for the same key`)
    }
    places.set(key.spkiHash, at)
    keys.push(key)
  }
  return keys
}

/** One bad CSR refuses all, and is named. @throws EnrollmentError CSR_INVALID, and what is no fault of the CSR as it is */
export async function ofCsr<T>(at: number, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (cause) {
    if (!isItsFault(cause)) throw cause
    throw new EnrollmentError('CSR_INVALID', `csrs[${at}]: ${cause.message}`, { cause })
  }
}

function readAskedKey(text: string): AskedKey {
  const csr = decodeBase64url(text)
  return { csr, spkiHash: readCsrKey(csr).spkiHash }
}

function isItsFault(error: unknown): error is CodedError {
  if (error instanceof EnrollmentError) return error.code === 'CSR_INVALID'
  return error instanceof CodedError
}
