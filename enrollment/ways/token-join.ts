import type { JoinAnswer, TokenJoinRequest } from '#protocol'
import type { Channel } from '../channel.js'
import type { Desk } from '../desk.js'
import { EnrollmentError } from '../errors.js'
import { attestTokenJoin } from '../evidence.js'
import { type CsrReading, requireClaims } from '../evidence/csr-claims.js'
import { contextOf } from '../issuance.js'
import { parseJoinToken } from '../join-token.js'

/** Spec §1: token and CSR for a certificate. @throws EnrollmentError */
export function joinWithToken(
  { reception, registry, profiles, verifier, issuance }: Desk,
  bearer: string,
  request: TokenJoinRequest,
  channel: Channel,
  reading: CsrReading,
): Promise<JoinAnswer> {
  return reception.serve({ method: 'token', channel }, async (known) => {
    const credential = parseJoinToken(bearer)
    known.token = credential.id
    const token = registry.requireToken(credential)
    const profile = profiles.require(request.profile ?? token.profile)
    if (profile.requireTpm === true) {
      throw new EnrollmentError('TPM_REQUIRED', `profile ${profile.name} takes no key in a file: join with a TPM`)
    }
    return reception.work('proven', async () => {
      const binding = reading === 'claims' ? requireClaims(request.csr, { channel }) : 'none'
      const key = await verifier.verify('csr', request.csr, 'proven')
      const attestation = attestTokenJoin(key, { token: credential.id, profile, binding })
      return issuance.join(attestation, contextOf(channel, request.reported, credential))
    })
  })
}
