import type { Decision, DeviceId } from '#protocol'
import type { EffectivePolicy } from '#policy'

/** What the broker asks of a device's effective policy. */
export type Rights = Pick<
  EffectivePolicy,
  | 'version'
  | 'quarantined'
  | 'maxSessions'
  | 'onDenyPublish'
  | 'term'
  | 'publish'
  | 'will'
  | 'subscribe'
  | 'receive'
  | 'discover'
>

/** Where sessions have their rights from. */
export interface RightsSource {
  /** Counts the moments from which nothing is decided by rights that were given before. */
  readonly rightsEpoch: number
  /** Those of now; none when they cannot be told. */
  rightsOf(device: DeviceId, from: string | undefined): Rights | undefined
}

/** For a session whose device has none any more, until it is ended. `before`: by whose version that is said. */
export function noRights({ version, term }: Rights): Rights {
  const denied = (): Extract<Decision, { effect: 'deny' }> => ({
    effect: 'deny',
    reason: 'no_rights',
    rules: [],
    policyVersion: version,
  })
  return {
    ...{ version, term, quarantined: false, maxSessions: 0, onDenyPublish: 'disconnect' },
    ...{ publish: denied, will: denied, subscribe: denied, receive: denied, discover: denied },
  }
}
