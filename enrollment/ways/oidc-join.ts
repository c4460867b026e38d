import type { OidcJoinAnswer, OidcJoinRequest } from '#protocol'
import type { Channel } from '../channel.js'
import type { Desk } from '../desk.js'
import { EnrollmentError } from '../errors.js'
import { contextOf } from '../issuance.js'

/** Spec §4: a CI job's token and up to a thousand CSRs for as many certificates. @throws EnrollmentError */
export function joinWithOidc(
  { reception, oidc, profiles, issuance }: Desk,
  request: OidcJoinRequest,
  channel: Channel,
): Promise<OidcJoinAnswer> {
  return reception.serve({ method: 'oidc', channel }, async (known) => {
    const profile = profiles.require(request.profile)
    if (profile.requireTpm === true) {
      throw new EnrollmentError('TPM_REQUIRED', `profile ${profile.name} takes no key in a file, as simulators have`)
    }
    const job = await oidc.identify(request, profile)
    known.anchorHash = job.anchor.hash
    return reception.work('proven', async () => {
      const { join, lifetimeSeconds } = await oidc.appraise(job)
      const context = { ...contextOf(channel, request.reported), lifetimeSeconds }
      return oidc.inTurn(join.run, () => issuance.joinRun(join, context))
    })
  })
}
