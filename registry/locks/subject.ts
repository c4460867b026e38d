import type {
  Anchor,
  DeviceId,
  Fingerprint,
  InstanceId,
  KeyIdentifier,
  Labels,
  ProfileName,
  Tier,
  TokenId,
} from '#protocol'
import type { CertificateRecord, Device, Instance, RegistryState } from '../state.js'

/** What a lock can be on, of one device, one of its certificates, or one that asks for a certificate. */
export interface Subject {
  readonly device: DeviceId
  readonly labels: Labels
  /** Of its certificate; absent for a device that has none. */
  readonly tier?: Tier
  /** The key that signed its certificate; absent for a device that has none, and for who asks for one. */
  readonly issuer?: KeyIdentifier | 'unknown'
  readonly profile: ProfileName
  readonly eks: readonly Fingerprint[]
  readonly instances: readonly InstanceId[]
  readonly tokens: readonly TokenId[]
  /** Where the other end is; absent where nobody is at the other end. */
  readonly address?: string
}

/** A device as it is now: of its instances the one that is in use. */
export function subjectOfDevice(state: RegistryState, device: Device): Subject {
  return subjectOf(state, device, instanceInUse(state, device))
}

/** Who shows a certificate. */
export function subjectOfCertificate(
  state: RegistryState,
  { device, instance, tier, issuer }: CertificateRecord,
  address: string | undefined,
): Subject | undefined {
  const known = state.devices.get(device)
  if (known === undefined) return undefined
  return {
    ...subjectOf(state, known, state.instances.get(instance)),
    tier,
    issuer: issuer ?? 'unknown',
    ...(address !== undefined && { address }),
  }
}

/** Who asks for a first certificate. */
export interface Joining {
  readonly device: DeviceId
  readonly instance: InstanceId
  readonly labels: Labels
  readonly tier: Tier
  readonly profile: ProfileName
  readonly anchor: Anchor
  readonly token?: TokenId | undefined
  readonly address?: string | undefined
}

/**
 * Until an operator clears it, a lock on one instance keeps out every other that is recognised by the same anchor:
 * otherwise who holds the hardware would only have to join again (spec, rules for every way in).
 */
export function subjectOfJoin(state: RegistryState, joining: Joining): Subject {
  const { anchor, token, address } = joining
  const device = state.devices.get(joining.device)
  const instances = device?.instances.flatMap((id) => state.instances.get(id) ?? []) ?? []
  const alike = instances.filter((one) => one.anchor.kind === anchor.kind && one.anchor.hash === anchor.hash)
  return {
    device: joining.device,
    labels: joining.labels,
    tier: joining.tier,
    profile: joining.profile,
    eks: eksOf([...(device?.anchors ?? []), anchor]),
    instances: [...alike.map(({ id }) => id), joining.instance],
    tokens: token === undefined ? [] : [token],
    ...(address !== undefined && { address }),
  }
}

function subjectOf(state: RegistryState, device: Device, instance: Instance | undefined): Subject {
  const fingerprint = instance?.current ?? instance?.pending
  const certificate = fingerprint === undefined ? undefined : state.certificates.get(fingerprint)
  return {
    device: device.id,
    labels: device.labels,
    ...(certificate && { tier: certificate.tier, issuer: certificate.issuer ?? 'unknown' }),
    profile: instance?.profile ?? device.profile,
    eks: eksOf(device.anchors),
    instances: instance === undefined ? [] : [instance.id],
    tokens: instance?.token === undefined ? [] : [instance.token],
  }
}

/** The one with a current certificate, else the newest. */
function instanceInUse(state: RegistryState, device: Device): Instance | undefined {
  const instances = device.instances.toReversed().flatMap((id) => state.instances.get(id) ?? [])
  return instances.find(({ current }) => current !== undefined) ?? instances[0]
}

function eksOf(anchors: readonly Anchor[]): readonly Fingerprint[] {
  return anchors.filter(({ kind }) => kind === 'ek').map(({ hash }) => hash)
}
