import {
  decodeJoinAnswer,
  decodeJoinNonce,
  decodeTpmChallenge,
  encodeBase64url,
  type JoinAnswer,
  type JoinUri,
  type Labels,
  type ProfileName,
  routes,
} from '#protocol'
import {
  type EkTemplateName,
  type EndorsementKey,
  qualifyingData,
  type SignedAttestation,
  type Tpm,
  TpmError,
  type TpmKey as Loaded,
} from '#tpm'
import { createCsr } from '#x509'
import { chooseEk } from './ek-command.js'
import type { JoinMethod } from './enroll.js'
import type { ServiceConnection } from './service.js'
import { TpmKey } from './tpm-key.js'
import { trustDomainOf } from './trust.js'

export interface TpmJoinOptions {
  /** Opened by the caller and closed by the caller. */
  readonly tpm: Tpm
  /** The text by which this TPM is opened again later. */
  readonly spec: string
  /** A nonce only where the agent's own configuration says so, never because a server asks. */
  readonly binding: 'exporter' | 'nonce'
  /** PCRs to quote; none: no quote. */
  readonly pcrs: readonly number[]
  /** Default: the best that the TPM's maker vouches for. */
  readonly ek?: EkTemplateName
  readonly token?: string
  readonly reported: Labels
}

/** Joins by proving a TPM (enrollment spec §2): two requests on one TLS connection, and a key that never leaves the chip. */
export function tpmJoin(options: TpmJoinOptions): JoinMethod {
  const { tpm, spec } = options
  return {
    isUsable: async (key) => key.kind === 'tpm' && key.tpm === spec && isOfThisTpm(tpm.loadSigningKey(key.stored)),
    createKey: async () => ({ kind: 'tpm', tpm: spec, stored: await tpm.createSigningKey() }),
    prepare: async (file) => {
      if (file.kind !== 'tpm') throw new TypeError('a key that isUsable has let pass')
      const key = await TpmKey.load(tpm, file.stored)
      const endorsementKey = await tpm.endorsementKey(await chooseEk(tpm, options.ek))
      const attestationKey = await tpm.attestationKey()
      const keys = { endorsementKey, attestationKey, key }
      return { key, ask: (service, uri) => ask(service, uri, keys, options) }
    },
  }
}

interface JoinKeys {
  readonly endorsementKey: EndorsementKey
  readonly attestationKey: Loaded
  readonly key: TpmKey
}

/** Evidence, then the proof that the EK and the attestation key are in one TPM: only it can open the credential. */
async function ask(
  service: ServiceConnection,
  uri: JoinUri,
  keys: JoinKeys,
  options: TpmJoinOptions,
): Promise<JoinAnswer> {
  const evidence = await gatherEvidence(service, uri.profile, keys, options)
  const challenge = await service.send(routes.joinTpm, decodeTpmChallenge, evidence)
  const secret = await options.tpm.activateCredential(keys.attestationKey, keys.endorsementKey, challenge)
  const activation = { cookie: challenge.cookie, secret: encodeBase64url(secret) }
  return service.send(routes.joinTpmActivate, decodeJoinAnswer, activation)
}

async function gatherEvidence(
  service: ServiceConnection,
  profile: ProfileName,
  { endorsementKey, attestationKey, key }: JoinKeys,
  { tpm, binding, pcrs, token, reported }: TpmJoinOptions,
) {
  const channel = binding === 'exporter' ? await service.channelBinding() : await takeNonce(service)
  const trustDomain = trustDomainOf(service.peerChain)
  const purpose = qualifyingData({ binding, channel, trustDomain, spki: key.spki, profile })
  const csr = await createCsr({ spki: key.spki, sign: (data) => key.sign(data) })
  return {
    profile,
    binding,
    ...(binding === 'nonce' ? { nonce: encodeBase64url(channel) } : {}),
    ...(token === undefined ? {} : { token }),
    ekCertificates: endorsementKey.certificates.map(encodeBase64url),
    ekPublic: encodeBase64url(endorsementKey.public),
    akPublic: encodeBase64url(attestationKey.public),
    keyPublic: encodeBase64url(key.loaded.public),
    csr: encodeBase64url(csr),
    certify: encodeAttestation(await tpm.certify(key.loaded, attestationKey, purpose)),
    ...(pcrs.length === 0 ? {} : { quote: await quote(tpm, attestationKey, purpose, pcrs) }),
    reported,
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

/** A TPM that was cleared since cannot load what it made before: then a new key is due. */
async function isOfThisTpm(loading: Promise<Loaded>): Promise<boolean> {
  try {
    await loading
    return true
  } catch (error) {
    if (error instanceof TpmError && error.code === 'TPM_COMMAND_FAILED') return false
    throw error
  }
}
