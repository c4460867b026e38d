import type { ChannelBinding, Fingerprint, RenewalAttestation } from '#protocol'
import type { OfflineTerms } from './offline.js'

/** The key that a renewal is for, the evidence that came of it, and by what terms. */
export interface RenewalAsked {
  readonly spkiHash: Fingerprint
  readonly attestation?: RenewalAttestation | undefined
  /** By what the request is tied to its connection without evidence, which says its own; default: `none`. */
  readonly binding?: ChannelBinding | undefined
  /** Where a certificate that is over may be shown; default: nowhere. */
  readonly offline?: OfflineTerms | undefined
}
