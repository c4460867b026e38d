import { createHash, X509Certificate } from 'node:crypto'
import { type Anchor, type Fingerprint, parseFingerprint } from '#protocol'
import { type CsrKey, readHardwareSerials, spkiHash, verifyPath, X509Error, type X509ErrorCode } from '#x509'
import { EnrollmentError, type EnrollmentErrorCode } from '../errors.js'
import type { Maker } from '../maker.js'
import { readCsr } from './csr.js'
import { firstToVouch } from './vouching.js'

/** Spec §3: leaf and root included. */
const maxCertificates = 4

/** The chain that TLS has shown, leaf first, and a CSR that came over that connection. */
export interface IdevidJoinEvidence {
  readonly chain: readonly Uint8Array[]
  readonly csr: Uint8Array
}

/** A machine, and the key that it wants certified. */
export interface AppraisedIdevidJoin {
  readonly idevid: AppraisedIdevid
  readonly key: CsrKey
}

/** Which machine a manufacturer says this is: genuine, which is not the same as ours. */
interface AppraisedIdevid {
  readonly maker: string
  /** SHA-256 of the IDevID's DER SubjectPublicKeyInfo. */
  readonly hash: Fingerprint
  /** By which its maker names the machine. */
  readonly serials: readonly string[]
}

/** @throws EnrollmentError IDEVID_…, CSR_INVALID */
export function appraiseIdevidJoin(
  { chain, csr }: IdevidJoinEvidence,
  makers: readonly Maker[],
  at: Date,
): AppraisedIdevidJoin {
  const idevid = appraiseIdevid(chain, makers, at)
  const key = readCsr(csr)
  if (key.spkiHash === idevid.hash) {
    throw new EnrollmentError('IDEVID_KEY_REUSED', 'the CSR is to be for a key of its own')
  }
  return { idevid, key }
}

/**
 * Whose key the other end has proven to hold.
 * @throws EnrollmentError IDEVID_INVALID, IDEVID_EXPIRED, IDEVID_MAKER_UNKNOWN
 */
function appraiseIdevid(chain: readonly Uint8Array[], makers: readonly Maker[], at: Date): AppraisedIdevid {
  const [leaf, ...sent] = chain
  if (leaf === undefined || chain.length > maxCertificates) {
    throw new EnrollmentError(
      'IDEVID_INVALID',
      `expected a chain of 1 to ${maxCertificates} certificates, got ${chain.length}`,
    )
  }
  try {
    const maker = makerOf(leaf, sent, makers, at)
    const { publicKey } = new X509Certificate(leaf)
    const hash = spkiHash(publicKey.export({ format: 'der', type: 'spki' }))
    return { maker, hash, serials: readHardwareSerials(leaf) }
  } catch (cause) {
    if (!(cause instanceof X509Error)) throw cause
    const problem = `no maker that is trusted here vouches for this machine: ${cause.message}`
    throw new EnrollmentError(reasons[cause.code] ?? 'IDEVID_INVALID', problem, { cause })
  }
}

/**
 * The anchor of a machine that an operator knows by its maker's serial number only. A serial number means something
 * together with its maker: two makers may give the same.
 */
export function idevidSerialAnchor(maker: string, serial: string): Anchor {
  const text = `touchmark idevid ${JSON.stringify([maker, serial])}`
  return { kind: 'idevid', hash: parseFingerprint(createHash('sha256').update(text).digest('hex')) }
}

/** @throws X509Error */
function makerOf(leaf: Uint8Array, sent: readonly Uint8Array[], makers: readonly Maker[], at: Date): string {
  return firstToVouch(makers, ({ id, roots: anchors, intermediates }) => {
    const material = { anchors, intermediates: [...sent, ...intermediates], maxIntermediates: maxCertificates - 2 }
    verifyPath({ leaf, ...material, at, purpose: 'idevid' })
    return id
  })
}

/** What an operator can do something about has a reason of its own. */
const reasons: Partial<Record<X509ErrorCode, EnrollmentErrorCode>> = {
  EXPIRED: 'IDEVID_EXPIRED',
  NOT_YET_VALID: 'IDEVID_EXPIRED',
  ISSUER_UNKNOWN: 'IDEVID_MAKER_UNKNOWN',
  SELF_SIGNED: 'IDEVID_MAKER_UNKNOWN',
}
