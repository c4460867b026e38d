import { createHash } from 'node:crypto'
import type { ChannelBinding, ProfileName, TrustDomain } from '#protocol'

/** What an attestation is made for: this connection, this service, this key, these rules. */
export interface AttestationPurpose {
  readonly binding: Exclude<ChannelBinding, 'none'>
  /** The exporter value of the TLS connection (RFC 9266), or the nonce that stands in for it. */
  readonly channel: Uint8Array
  readonly trustDomain: TrustDomain
  /** DER SubjectPublicKeyInfo of the key that is to be certified. */
  readonly spki: Uint8Array
  readonly profile: ProfileName
}

const version = 'touchmark-tpm-v1'
const bindingBytes = { exporter: 0x01, nonce: 0x02 } as const

/**
 * The qualifying data under which a TPM certifies and quotes for a join, computed alike on both ends. Every part
 * has one length, so no two purposes share their bytes. @throws RangeError when the channel value has another length than 32 bytes
 */
export function qualifyingData(purpose: AttestationPurpose): Uint8Array {
  if (purpose.channel.length !== 32) throw new RangeError(`a channel value of ${purpose.channel.length} bytes`)
  const digest = createHash('sha256')
    .update(version)
    .update(Uint8Array.of(bindingBytes[purpose.binding]))
    .update(sha256(purpose.trustDomain))
    .update(purpose.channel)
    .update(sha256(purpose.spki))
    .update(sha256(purpose.profile))
    .digest()
  return Uint8Array.from(digest)
}

function sha256(data: string | Uint8Array): Uint8Array {
  return createHash('sha256').update(data).digest()
}
