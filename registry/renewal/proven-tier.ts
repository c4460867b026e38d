import type { RenewalAttestation, Tier } from '#protocol'
import type { AttestedTpm, CertificateRecord } from '../state.js'
import { breaksHistory } from '../tpm-history.js'
import type { Line } from './line.js'
import type { RenewalAsked } from './asked.js'
import { refused } from './refused.js'

/**
 * A renewal inherits no tier. Another key of a TPM must be certified anew by the attestation key that joined. The same
 * key still lives in its TPM and so keeps `tpm` without; what PCRs said then is not said now.
 * @throws RegistryError KEY_NOT_CERTIFIED, TPM_HISTORY_BROKEN, EVIDENCE_OVERTAKEN, NOT_RENEWABLE
 */
export function provenTier(line: Line, { spkiHash, attestation }: RenewalAsked): Tier {
  const { certificate, current, last, instance } = line
  switch (certificate.tier) {
    case 'token':
      return 'token'
    case 'tpm':
    case 'tpm-unvouched':
    case 'tpm+pcr': {
      const isKnownThere = [certificate, current, last].some(
        (one) => one?.spkiHash === spkiHash && isResident(one.tier),
      )
      if (attestation !== undefined) requireHistory(certificate, instance.tpm, attestation)
      else if (!isKnownThere) throw refused('KEY_NOT_CERTIFIED', certificate, 'is for a key in a TPM')
      return certificate.tier === 'tpm-unvouched' ? 'tpm-unvouched' : (attestation?.tier ?? 'tpm')
    }
    case 'idevid':
      return 'token' // the new key is proven by the old one only
    case 'oidc-sim':
      throw refused('NOT_RENEWABLE', certificate, 'is for one run of a CI job, and ends with it')
  }
}

function isResident(tier: Tier): boolean {
  return tier === 'tpm' || tier === 'tpm-unvouched' || tier === 'tpm+pcr'
}

/** Since the TPM was last attested it was neither cleared nor copied; if it was, the EK must be proven again by a join. */
function requireHistory(certificate: CertificateRecord, known: AttestedTpm | undefined, now: RenewalAttestation): void {
  if (known !== undefined && !breaksHistory(known, now)) return
  throw refused('TPM_HISTORY_BROKEN', certificate, 'is for a TPM whose counters went back')
}
