import { TpmError } from '../errors.js'
import { algorithmIds, type HashName } from '../structures/algorithms.js'
import { TpmWriter } from '../structures/codec.js'
import { type HierarchyName, hierarchies } from '../structures/names.js'
import type { Transport } from '../transport/transport.js'
import { emptyPassword } from './authorization.js'
import { type Entity, execute } from './command.js'

export type SessionKind = keyof typeof sessionTypes

/** What a session begins with. */
export interface SessionStart {
  readonly kind: SessionKind
  readonly hash: HashName
  /** For which the salt is encrypted. */
  readonly key: Entity
  readonly encryptedSalt: Uint8Array
  readonly nonceCaller: Uint8Array
}

/** TPM_SE (Part 2 §6.11). */
const sessionTypes = { hmac: 0, policy: 1 } as const
const handleKinds = { hmac: 'hmacSession', policy: 'policySession' } as const
const nothing = new Uint8Array(0)
const maxNonceBytes = 64
const maxDigestBytes = 64
const maxTimeoutBytes = 8
/** TPM_ST_AUTH_SECRET (Part 2 §6.9). */
const authSecretTag = 0x8023

/** TPM2_StartAuthSession (Part 3 §11.1): salted, bound to nothing, with AES-128-CFB for parameters. */
export function startAuthSession(
  transport: Transport,
  { kind, hash, key, encryptedSalt, nonceCaller }: SessionStart,
): Promise<{ readonly handle: number; readonly nonceTpm: Uint8Array }> {
  const parameters = new TpmWriter()
    .sized(nonceCaller)
    .sized(encryptedSalt)
    .uint8(sessionTypes[kind])
    .uint16(algorithmIds.aes)
    .uint16(128)
    .uint16(algorithmIds.cfb)
    .uint16(algorithmIds[hash])
    .encoded()
  const handles = [key, { handle: hierarchies.null }]
  return execute(
    transport,
    { name: 'StartAuthSession', handles, parameters, gives: handleKinds[kind] },
    (reader, handle) => ({ handle, nonceTpm: reader.sized(maxNonceBytes) }),
  )
}

/** TPM2_PolicySecret (Part 3 §23.4): shows the session that the caller holds the hierarchy's authorization. */
export function policySecret(transport: Transport, hierarchy: HierarchyName, session: Entity): Promise<void> {
  const parameters = new TpmWriter().sized(nothing).sized(nothing).sized(nothing).uint32(0).encoded()
  const handles = [{ handle: hierarchies[hierarchy] }, session]
  const command = { name: 'PolicySecret', handles, authorizations: [emptyPassword], parameters } as const
  return execute(transport, command, (reader) => {
    // A time-out and a ticket for later use, neither of which was asked for.
    reader.sized(maxTimeoutBytes)
    if (reader.uint16() !== authSecretTag) throw new TpmError('STRUCTURE_INVALID', 'not a ticket of PolicySecret')
    reader.uint32()
    reader.sized(maxDigestBytes)
  })
}
