import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CliError } from './errors.js'

/** What the operator shows, and by which root the server is known; all PEM. */
export interface Credential {
  readonly certificate: string
  readonly key: string
  readonly ca: string
}

/** @throws CliError NO_CREDENTIAL, BAD_CREDENTIAL */
export function readCredential(folder: string): Credential {
  const read = (name: string) => readPart(folder, name)
  const credential = { certificate: read('operator.crt'), key: read('operator.key'), ca: read('ca.crt') }
  try {
    const certificate = new X509Certificate(credential.certificate)
    if (certificate.checkPrivateKey(createPrivateKey(credential.key))) return credential
  } catch (cause) {
    throw new CliError('BAD_CREDENTIAL', `${folder}: operator.crt and operator.key cannot be read as PEM`, { cause })
  }
  throw new CliError('BAD_CREDENTIAL', `${folder}: operator.key does not belong to operator.crt`)
}

function readPart(folder: string, name: string): string {
  try {
    return readFileSync(join(folder, name), 'utf8')
  } catch (cause) {
    throw new CliError(
      'NO_CREDENTIAL',
      `no operator credential: cannot read ${join(folder, name)}\n` +
        'Run this where "touchmark up" made its data folder, or say where it is: --data DIR, --identity DIR or TOUCHMARK_HOME.',
      { cause },
    )
  }
}
