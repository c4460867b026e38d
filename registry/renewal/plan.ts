import type {
  CertificateFacts,
  CertificateSerial,
  CloneSign,
  DeviceId,
  DeviceIdentity,
  Fingerprint,
  InstanceId,
  ProfileName,
  RegistryEvent,
  Tier,
} from '#protocol'
import { factsOf } from '../certificate-facts.js'
import { isRepeatable } from '../repeatable.js'
import type { CertificateRecord, Displacement, RegistryState } from '../state.js'
import type { RenewalAsked } from './asked.js'
import { type Line, lineOf } from './line.js'
import { comesBackInQuarantine, requireRenewable } from './offline.js'
import { provenTier } from './proven-tier.js'
import { refused } from './refused.js'

/** What a renewal comes to: the certificate that the key already has, what a new one has to say, or two machines. */
export type RenewalPlan = RenewalRepeat | RenewalIssue | RenewalClone

export interface RenewalRepeat {
  readonly kind: 'repeat'
  readonly certificate: CertificateRecord
}

export interface RenewalIssue {
  readonly kind: 'issue'
  readonly device: DeviceId
  readonly instance: InstanceId
  readonly profile: ProfileName
  /** What this request proves of the key, and no more. */
  readonly tier: Tier
  readonly presented: DeviceIdentity
  readonly asked: RenewalAsked
  /** Of the instance when this was planned, and what was pending: a change since makes the plan stale. */
  readonly seen: { readonly generation: number; readonly pending?: Fingerprint }
  /** The presented certificate is pending: showing it here was its first use. */
  readonly promotesFirst: boolean
  /** The certificate that waits for its first use, for another key: it is superseded, and that is counted. */
  readonly displaces?: CertificateSerial
  /** Its holder was away for longer than its certificate lasted, and an operator is to look first. */
  readonly inQuarantine: boolean
}

/** Two machines hold what one was given: their enrollment is to be locked, see {@link Registry.lockClone}. */
export interface RenewalClone {
  readonly kind: 'clone'
  readonly sign: CloneSign
  readonly presented: DeviceIdentity
  readonly asked: RenewalAsked
  readonly certificate: CertificateRecord
}

/** One lost answer can have a careful device ask with another key once, as when its disk was restored; not twice a day. */
const displacedAgainMs = 24 * 3600 * 1000

/**
 * The table of spec §5, row by row, for a certificate whose key the other end has just shown to hold, as it has the key
 * to certify. It locks nobody who has not shown that.
 * @throws RegistryError
 */
export function planRenewal(
  state: RegistryState,
  presented: DeviceIdentity,
  asked: RenewalAsked,
  now: number,
): RenewalPlan {
  const line = lineOf(state, presented, now)
  const { certificate, current, pending } = line
  requireRenewable(certificate, now, asked.offline)
  switch (certificate.state) {
    case 'current': // nothing pending, or for another key: issue; for the same key: its pending certificate again
      return repeatOf(pending, line, asked, now) ?? issue(line, presented, asked, now)
    case 'pending': // promoted first, and then nothing is pending any more
      return issue({ ...line, pending: undefined }, presented, asked, now)
    case 'previous': // the key was kept and the file lost; any other key is a second copy of this machine
      if (current?.spkiHash !== asked.spkiHash)
        return { kind: 'clone', sign: 'previous', presented, asked, certificate }
      return (
        repeatOf(current, line, asked, now) ??
        repeatOf(pending, line, asked, now) ??
        stepBehind(line, asked, now) ??
        issue(line, presented, asked, now)
      )
    case 'superseded':
      throw refused('SUPERSEDED', certificate, 'was superseded')
    case 'revoked':
      throw refused('DEVICE_REVOKED', certificate, 'was revoked')
  }
}

/** The renewal as it is recorded: another pending certificate for the instance. */
export function renewalOf(
  { device, instance, presented, asked: { attestation, binding = 'none' }, displaces }: RenewalIssue,
  certificate: CertificateFacts,
  { peer, at }: { readonly peer?: string; readonly at: number },
): RegistryEvent {
  return {
    event: 'device.renew',
    ...{ device, instance, presentedSerial: presented.serial },
    ...(displaces !== undefined && { displaces, at }),
    ...(binding !== 'none' && { binding }),
    ...(attestation !== undefined && { binding: attestation.binding, ...attestation.tpm, at }),
    ...(peer !== undefined && { peer }),
    ...factsOf(certificate),
  }
}

function repeatOf(
  certificate: CertificateRecord | undefined,
  line: Line,
  asked: RenewalAsked,
  now: number,
): RenewalRepeat | undefined {
  if (certificate?.spkiHash !== asked.spkiHash || certificate.tier !== provenTier(line, asked)) return undefined
  return isRepeatable(certificate, now) ? { kind: 'repeat', certificate } : undefined
}

/**
 * What waits for the key after that is not taken away for a request that is a step behind, such as one that was long on
 * its way: it gets what is in use, and renews from there.
 */
function stepBehind(line: Line, asked: RenewalAsked, now: number): RenewalRepeat | undefined {
  const { current, pending } = line
  const isUsable = current !== undefined && current.notAfter > now && current.tier === provenTier(line, asked)
  return pending !== undefined && isUsable ? { kind: 'repeat', certificate: current } : undefined
}

/** Unless another key has waited, and another before that: then two machines ask by turns. */
function issue(line: Line, presented: DeviceIdentity, asked: RenewalAsked, now: number): RenewalIssue | RenewalClone {
  const { certificate, instance, pending } = line
  const tier = provenTier(line, asked)
  const displaced = pending !== undefined && pending.spkiHash !== asked.spkiHash ? pending : undefined
  if (displaced !== undefined && isRecent(instance.displaced, now)) {
    return { kind: 'clone', sign: 'keys', presented, asked, certificate }
  }
  return {
    kind: 'issue',
    device: certificate.device,
    instance: instance.id,
    profile: instance.profile,
    ...{ tier, presented, asked },
    seen: { generation: instance.generation, ...(instance.pending !== undefined && { pending: instance.pending }) },
    promotesFirst: certificate.state === 'pending',
    ...(displaced !== undefined && { displaces: displaced.serial }),
    inQuarantine: comesBackInQuarantine(line, asked.spkiHash, now, asked.offline),
  }
}

function isRecent(displacement: Displacement | undefined, now: number): boolean {
  return displacement !== undefined && now - displacement.at < displacedAgainMs
}
