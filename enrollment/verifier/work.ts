import type { PcrVerdict, RenewalAttestation, TpmKeyEvidence } from '#protocol'
import { makeCredential } from '#tpm'
import { EkTrust } from '../ek-trust.js'
import type { TrustedMakers } from '../maker.js'
import {
  type AppraisedTpm,
  appraiseTpm,
  attestRenewal,
  type ProvenKey,
  type RenewalReference,
  type TpmJoinEvidence,
  type TpmReference,
} from '../evidence.js'
import { readCsr } from '../evidence/csr.js'
import { type AppraisedIdevidJoin, appraiseIdevidJoin, type IdevidJoinEvidence } from '../evidence/idevid.js'

/** What each piece of work is given: plain data, so that another thread can do it, and no key of ours. */
export interface Given {
  /** A CSR, DER. */
  readonly csr: Uint8Array
  readonly tpmJoin: {
    readonly evidence: TpmJoinEvidence
    readonly reference: Omit<TpmReference, 'ekTrust'>
    /** To be sealed for the TPM that the evidence is of. */
    readonly secret: Uint8Array
  }
  readonly idevidJoin: {
    readonly evidence: IdevidJoinEvidence
    /** By their ids. */
    readonly trusted: readonly string[]
    readonly at: Date
  }
  readonly tpmRenewal: { readonly evidence: TpmKeyEvidence; readonly reference: RenewalReference }
}

/** What it shows. */
export interface Shown {
  readonly csr: ProvenKey
  readonly tpmJoin: {
    readonly appraised: AppraisedTpm
    readonly credentialBlob: Uint8Array
    readonly encryptedSecret: Uint8Array
  }
  readonly idevidJoin: AppraisedIdevidJoin
  readonly tpmRenewal: { readonly attestation: RenewalAttestation; readonly pcr: PcrVerdict | undefined }
}

export type WorkName = keyof Given

/** Each throws EnrollmentError with the reason of a refusal. */
export type Work = { readonly [Name in WorkName]: (given: Given[Name]) => Shown[Name] }

/**
 * All of a join that takes long and follows from what was sent alone: to read structures and certificates of a stranger's
 * choice, and to check every signature on them. Whether the machine is ours is asked elsewhere.
 */
export function createWork(makers: TrustedMakers): Work {
  const ekTrust = new EkTrust(makers.ek)
  return {
    csr(csr) {
      const { spki, spkiHash } = readCsr(csr)
      return { spki, spkiHash }
    },
    tpmJoin({ evidence, reference, secret }) {
      const { appraised, ekPublic } = appraiseTpm(evidence, { ...reference, ekTrust })
      return { appraised, ...makeCredential({ ekPublic }, appraised.tpm.akName, secret) }
    },
    idevidJoin({ evidence, trusted, at }) {
      const theirs = makers.idevid.filter(({ id }) => trusted.includes(id))
      return appraiseIdevidJoin(evidence, theirs, at)
    },
    tpmRenewal: ({ evidence, reference }) => attestRenewal(evidence, reference),
  }
}
