import type { JoinAnswer, ProfileName } from '#protocol'
import type { Channel } from '../channel.js'
import type { Desk } from '../desk.js'
import { EnrollmentError } from '../errors.js'
import { attestIdevidJoin } from '../evidence.js'
import { type CsrReading, requireClaims } from '../evidence/csr-claims.js'
import { contextOf } from '../issuance.js'

export interface IdevidJoinRequest {
  readonly profile: ProfileName
  /** For a key of its own: the maker's key stays what it is. */
  readonly csr: Uint8Array
}

/**
 * Spec §3: a CSR over a connection that was made with the certificate that the maker has put into the machine. `chain`: as
 * TLS has shown it, leaf first; who holds the leaf's key has signed the handshake. @throws EnrollmentError
 */
export function joinWithIdevid(
  { reception, profiles, verifier, entrance, issuance, now }: Desk,
  chain: readonly Uint8Array[],
  request: IdevidJoinRequest,
  channel: Channel,
  reading: CsrReading,
): Promise<JoinAnswer> {
  return reception.serve({ method: 'idevid', channel }, async (known) => {
    const profile = profiles.require(request.profile)
    if (profile.requireTpm === true) {
      throw new EnrollmentError('TPM_REQUIRED', `profile ${profile.name} takes no key in a file: join with a TPM`)
    }
    return reception.work('stranger', async () => {
      const binding = reading === 'claims' ? requireClaims(request.csr, { channel }) : 'none'
      const evidence = { chain, csr: request.csr }
      const given = { evidence, trusted: profile.idevidMakers ?? [], at: new Date(now()) }
      const attestation = attestIdevidJoin(await verifier.verify('idevidJoin', given, 'stranger'), profile, binding)
      known.anchorHash = attestation.anchor.hash
      const arriving = { method: 'idevid', attestation, profile, context: contextOf(channel) } as const
      return entrance.letIn(arriving, (terms) => issuance.join(attestation, terms))
    })
  })
}
