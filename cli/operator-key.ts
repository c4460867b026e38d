import { createPrivateKey, createPublicKey, sign, X509Certificate } from 'node:crypto'
import { accessSync, constants, renameSync } from 'node:fs'
import { join } from 'node:path'
import { encodeBase64url } from '#protocol'
import { createCsr, createKeyPair, isInLastThird, spkiOf, validityOf } from '#x509'
import type { KeepFresh } from './client.js'
import type { Credential } from './credential.js'
import { writeNamed } from './named-files.js'

/** A key that never leaves this machine; PEM. */
export function createOperatorKey(): string {
  return createKeyPair('P-256').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
}

/** What asks for a certificate of a key, and shows that it is held; base64url. */
export async function csrOf(keyPem: string): Promise<string> {
  const key = createPrivateKey(keyPem)
  const spki = spkiOf(createPublicKey(key))
  return encodeBase64url(await createCsr({ spki, sign: async (data) => new Uint8Array(sign('sha256', data, key)) }))
}

/**
 * Renews what lies in a folder, in the last third of its life. Where that cannot be done, the present one does as long as
 * it lasts, and it is not tried again.
 */
export function keepFresh(folder: string, now: () => number): KeepFresh {
  let isTried = false
  return async (present, ask) => {
    if (isTried || !('key' in present) || !isDue(present, now())) return present
    try {
      return await renewed(folder, present, ask)
    } catch {
      isTried = true
      return present
    }
  }
}

/** Whether a certificate has come into the last third of its life, and not to its end. */
function isDue({ certificate }: Credential, now: number): boolean {
  const validity = validityOf(new X509Certificate(certificate))
  return isInLastThird(validity, now) && now < validity.notAfter
}

/**
 * The same with its next certificate, written where the present one lies: in one step, and beside the same key, so that
 * whoever reads meanwhile finds two that belong together.
 */
async function renewed(folder: string, credential: Credential, ask: Parameters<KeepFresh>[1]): Promise<Credential> {
  accessSync(folder, constants.W_OK) // what cannot be kept is not asked for
  const { certificate } = await ask(await csrOf(credential.key))
  const file = join(folder, 'operator.crt')
  writeNamed(`${file}.${process.pid}`, certificate, 0o600)
  renameSync(`${file}.${process.pid}`, file)
  return { ...credential, certificate }
}
