import { randomBytes } from 'node:crypto'
import type { LoadedObject } from '../commands/objects.js'
import { type SessionKind, startAuthSession } from '../commands/sessions.js'
import { TpmError } from '../errors.js'
import { kdfA } from '../secrets/kdf.js'
import { shareSeed } from '../secrets/shared-seed.js'
import { type HashName, hashBytes } from '../structures/algorithms.js'
import type { Transport } from '../transport/transport.js'
import { nonceBytes, Session } from './session.js'

export interface SessionOptions {
  readonly kind: SessionKind
  /** Default SHA-256. A policy session has the hash of the policy that it is to meet. */
  readonly hash?: HashName
}

/**
 * Begins a session whose key only the TPM that holds `key` can know too (Part 1 §19.6.8 and §19.6.13): the salt travels by
 * RSA-OAEP or ECDH. Whoever can pass off a key of his own as `key` is in; an EK that its maker vouches for cannot be.
 * The session stays in the TPM until it is flushed.
 */
export async function startSession(
  transport: Transport,
  key: LoadedObject,
  { kind, hash = 'sha256' }: SessionOptions,
): Promise<Session> {
  const { seed: salt, encryptedSecret: encryptedSalt } = shareSeed(key.area, 'SECRET')
  const nonceCaller = randomBytes(nonceBytes)
  const { handle, nonceTpm } = await startAuthSession(transport, { kind, hash, key, encryptedSalt, nonceCaller })
  if (nonceTpm.length !== nonceBytes) throw new TpmError('TPM_RESPONSE_INVALID', `a nonce of ${nonceTpm.length} bytes`)
  const sessionKey = kdfA(hash, salt, 'ATH', nonceTpm, nonceCaller, hashBytes[hash])
  return new Session({ handle, hash, key: sessionKey, nonceCaller, nonceTpm })
}
