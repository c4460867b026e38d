import { decodeJoinNonce, encodeBase64url, type ProfileName, routes } from '#protocol'
import { qualifyingData, type SignedAttestation, type Tpm, type TpmKey as Loaded } from '#tpm'
import { createCsr } from '#x509'
import type { ServiceConnection } from './service.js'
import type { TpmKey } from './tpm-key.js'
import { trustDomainOf } from './trust.js'

/** How this device's own configuration has it prove its key. */
export interface ProofOptions {
  /** A nonce only where the agent's own configuration says so, never because a server asks. */
  readonly binding: 'exporter' | 'nonce'
  /** PCRs to quote; none: no quote. */
  readonly pcrs: readonly number[]
}

export interface Prover {
  readonly tpm: Tpm
  readonly attestationKey: Loaded
  readonly key: TpmKey
}

/** That the key lives in this TPM, as its attestation key says it for this connection and nothing else (enrollment spec §2). */
export async function gatherKeyEvidence(
  service: ServiceConnection,
  profile: ProfileName,
  { tpm, attestationKey, key }: Prover,
  { binding, pcrs }: ProofOptions,
) {
  const channel = binding === 'exporter' ? await service.channelBinding() : await takeNonce(service)
  const trustDomain = trustDomainOf(service.peerChain)
  const purpose = qualifyingData({ binding, channel, trustDomain, spki: key.spki, profile })
  const csr = await createCsr({ spki: key.spki, sign: (data) => key.sign(data) })
  return {
    binding,
    ...(binding === 'nonce' ? { nonce: encodeBase64url(channel) } : {}),
    akPublic: encodeBase64url(attestationKey.public),
    keyPublic: encodeBase64url(key.loaded.public),
    csr: encodeBase64url(csr),
    certify: encodeAttestation(await tpm.certify(key.loaded, attestationKey, purpose)),
    ...(pcrs.length === 0 ? {} : { quote: await quote(tpm, attestationKey, purpose, pcrs) }),
  }
}

async function takeNonce(service: ServiceConnection): Promise<Uint8Array> {
  const { nonce } = await service.send(routes.joinNonce, decodeJoinNonce, {})
  return nonce
}

async function quote(tpm: Tpm, attestationKey: Loaded, purpose: Uint8Array, pcrs: readonly number[]) {
  const quoted = await tpm.quote(attestationKey, purpose, pcrs)
  const sha256 = Object.fromEntries([...quoted.pcrs].map(([index, value]) => [index, encodeBase64url(value)]))
  return { ...encodeAttestation(quoted), pcrs: { sha256 } }
}

function encodeAttestation({ attest, signature }: SignedAttestation) {
  return { attest: encodeBase64url(attest), signature: encodeBase64url(signature) }
}
