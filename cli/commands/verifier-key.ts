import { readFileSync } from 'node:fs'
import { CliError } from '../errors.js'

/** A verifier key as it is written, or the content of the file that was named. @throws CliError CANNOT_READ */
export function readVerifierKey(given: string): string {
  if (/^[^/\s]+(\/[^/\s]+)*\+[0-9a-f]{8}\+\S+$/.test(given)) return given
  try {
    return readFileSync(given, 'utf8').trim()
  } catch (cause) {
    throw new CliError('CANNOT_READ', `no verifier key: expected NAME+HASH+KEY or a file that holds it, got ${given}`, {
      cause,
    })
  }
}
