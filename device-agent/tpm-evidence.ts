import { decodeJoinNonce, decodeJoinTerms, encodeBase64url, type JoinTerms, type ProfileName, routes } from '#protocol'
import { qualifyingData, type SignedAttestation, type Tpm, type TpmKey as Loaded } from '#tpm'
import { createCsr } from '#x509'
import { readEventLog } from './event-log.js'
import type { ProofOptions } from './key-file.js'
import type { ServiceConnection } from './service.js'
import type { TpmKey } from './tpm-key.js'
import { trustDomainOf } from './trust.js'

/** A key with all that can be made before there is a connection, so that the service does not wait for it. */
export interface Prover {
  readonly key: TpmKey
  readonly csr: Uint8Array
  readonly proof: ProofOptions
}

export async function prepareProof(key: TpmKey, proof: ProofOptions): Promise<Prover> {
  await key.use((tpm) => tpm.attestationKey())
  return { key, proof, csr: await createCsr({ spki: key.spki, sign: (data) => key.sign(data) }) }
}

/** What the service wants to see of a machine beside its keys. */
export function askTerms(service: ServiceConnection, profile: ProfileName): Promise<JoinTerms> {
  return service.send(routes.joinTerms, decodeJoinTerms, { profile })
}

/** That the key lives in its TPM, as the attestation key there says it for this connection and nothing else (enrollment spec §2). */
export async function gatherKeyEvidence(
  service: ServiceConnection,
  profile: ProfileName,
  { key, csr, proof }: Prover,
  terms: JoinTerms,
) {
  const { binding } = proof
  const pcrs = proof.pcrs ?? terms.pcrs
  const eventLog = terms.eventLog ? await readEventLog(proof.eventLog) : undefined
  const channel = binding === 'exporter' ? await service.channelBinding() : await takeNonce(service)
  const trustDomain = trustDomainOf(service.peerChain)
  const purpose = qualifyingData({ binding, channel, trustDomain, spki: key.spki, profile })
  return key.use(async (tpm, loaded) => {
    const attestationKey = await tpm.attestationKey()
    return {
      binding,
      ...(binding === 'nonce' ? { nonce: encodeBase64url(channel) } : {}),
      akPublic: encodeBase64url(attestationKey.public),
      keyPublic: encodeBase64url(loaded.public),
      csr: encodeBase64url(csr),
      certify: encodeAttestation(await tpm.certify(loaded, attestationKey, purpose)),
      ...(pcrs.length === 0 ? {} : { quote: await quote(tpm, attestationKey, purpose, pcrs) }),
      ...(eventLog === undefined ? {} : { eventLog: encodeBase64url(eventLog) }),
    }
  })
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
