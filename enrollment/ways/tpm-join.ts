import type { JoinAnswer, JoinTerms, ProfileName, TpmActivateRequest, TpmChallenge, TpmJoinRequest } from '#protocol'
import type { Channel } from '../channel.js'
import type { Desk } from '../desk.js'
import { contextOf } from '../issuance.js'
import { parseJoinToken } from '../join-token.js'

/** What a TPM join by a profile is to show beside its keys. @throws EnrollmentError PROFILE_UNKNOWN */
export function termsOf({ profiles, pcrPolicyFor }: Desk, name: ProfileName): JoinTerms {
  const { pcrs, eventLog = false } = pcrPolicyFor(profiles.require(name).name) ?? {}
  return { pcrs: [...(pcrs?.keys() ?? [])].sort((one, other) => one - other), eventLog }
}

/** Spec §2 step 1: evidence for a challenge. Nothing that we know of the device takes part. @throws EnrollmentError */
export function beginTpmJoin(
  { reception, profiles, challenges }: Desk,
  request: TpmJoinRequest,
  channel: Channel,
): Promise<TpmChallenge> {
  return reception.serve({ method: 'tpm', channel }, async () => {
    const profile = profiles.require(request.profile)
    const token = request.token === undefined ? undefined : parseJoinToken(request.token)
    const caller = reception.callerWith(token)
    return reception.work(caller, () => challenges.begin(request, { profile, token, channel, caller }))
  })
}

/** Spec §2 step 2: the secret that only that TPM can recover, for a certificate. @throws EnrollmentError */
export function activateTpmJoin(
  { reception, profiles, challenges, entrance, issuance }: Desk,
  request: TpmActivateRequest,
  channel: Channel,
): Promise<JoinAnswer> {
  return reception.serve({ method: 'tpm', channel }, async (known) => {
    const state = challenges.open(request.cookie)
    known.anchorHash = state.appraised.ekHash
    const attestation = challenges.conclude(state, request, channel)
    const context = contextOf(channel, state.reported, state.token)
    const arriving = { method: 'tpm', attestation, profile: profiles.require(attestation.profile), context } as const
    return reception.work('proven', () =>
      entrance.letIn(arriving, (terms) => issuance.join(attestation, terms, request.eventLog)),
    )
  })
}
