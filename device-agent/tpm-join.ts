import { isDeepStrictEqual } from 'node:util'
import {
  decodeJoinAnswer,
  decodeTpmChallenge,
  encodeBase64url,
  type JoinAnswer,
  type JoinUri,
  type Labels,
  routes,
} from '#protocol'
import type { EkTemplateName, EndorsementKey, Tpm, TpmKey as Loaded } from '#tpm'
import { chooseEk } from './ek-command.js'
import type { JoinMethod } from './enroll.js'
import type { ProofOptions } from './key-file.js'
import type { ServiceConnection } from './service.js'
import { askTerms, gatherKeyEvidence, prepareProof, type Prover } from './tpm-evidence.js'
import { isOfThisTpm, TpmKey } from './tpm-key.js'

export interface TpmJoinOptions {
  /** Opened by the caller and closed by the caller. */
  readonly tpm: Tpm
  /** The text by which this TPM is opened again later. */
  readonly spec: string
  readonly proof: ProofOptions
  /** Default: the best that the TPM's maker vouches for. */
  readonly ek?: EkTemplateName
  readonly token?: string
  readonly reported: Labels
}

/** Joins by proving a TPM (enrollment spec §2): two requests on one TLS connection, and a key that never leaves the chip. */
export function tpmJoin(options: TpmJoinOptions): JoinMethod {
  const { tpm, spec, proof } = options
  return {
    isUsable: async (key) => {
      if (key.kind !== 'tpm' || key.tpm !== spec || !isDeepStrictEqual(key.proof, proof)) return false
      return isOfThisTpm(tpm, key.stored)
    },
    createKey: async () => ({ kind: 'tpm', tpm: spec, proof, stored: await tpm.createSigningKey() }),
    prepare: async (file) => {
      if (file.kind !== 'tpm') throw new TypeError('a key that isUsable has let pass')
      const key = await TpmKey.load(tpm, file.stored)
      const endorsementKey = await tpm.endorsementKey(await chooseEk(tpm, options.ek))
      const attestationKey = await tpm.attestationKey()
      const keys = { endorsementKey, attestationKey, prover: await prepareProof(key, proof) }
      return { key, ask: (service, uri) => ask(service, uri, keys, options) }
    },
  }
}

interface JoinKeys {
  readonly endorsementKey: EndorsementKey
  readonly attestationKey: Loaded
  readonly prover: Prover
}

/** Evidence, then the proof that the EK and the attestation key are in one TPM: only it can open the credential. */
async function ask(
  service: ServiceConnection,
  uri: JoinUri,
  keys: JoinKeys,
  options: TpmJoinOptions,
): Promise<JoinAnswer> {
  const { tpm, token, reported } = options
  const { endorsementKey, attestationKey, prover } = keys
  const terms = await askTerms(service, uri.profile)
  const { eventLog, ...keyEvidence } = await gatherKeyEvidence(service, uri.profile, prover, terms)
  const log = eventLog === undefined ? {} : { eventLog }
  const evidence = {
    profile: uri.profile,
    ...(token === undefined ? {} : { token }),
    ekCertificates: endorsementKey.certificates.map(encodeBase64url),
    ekPublic: encodeBase64url(endorsementKey.public),
    ...keyEvidence,
    ...log,
    reported,
  }
  const challenge = await service.send(routes.joinTpm, decodeTpmChallenge, evidence)
  const secret = await tpm.activateCredential(attestationKey, endorsementKey, challenge)
  const activation = { cookie: challenge.cookie, secret: encodeBase64url(secret), ...log }
  return service.send(routes.joinTpmActivate, decodeJoinAnswer, activation)
}
