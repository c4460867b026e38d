import type { Anchor, DeviceId, Fingerprint, InstanceId, RegistryEvent, TokenId } from '#protocol'
import { certificateOf, corrupt, deviceOf, instanceOf, tokenOf } from './known.js'
import { anchorKey, type AttestedTpm, type CertificateRecord, type Instance, type RegistryState } from './state.js'

/*
 * What joins, renewals and their first use do to a device's instances and the line of certificates of each: pending,
 * current, previous, and then superseded.
 */

/**
 * The log keeps everything for ever; the registry remembers of what is over only the last few, so that a machine that
 * joins or renews without end cannot make it grow.
 */
const remembered = { instancesOfDevice: 8, supersededOfInstance: 8 } as const

type Event<Name extends RegistryEvent['event']> = Extract<RegistryEvent, { readonly event: Name }>

/** A join: the device is new or known, its instance too; the certificate waits for its first use. */
export function enrollDevice(state: RegistryState, event: Event<'device.enroll'>): void {
  const anchor = { kind: event.anchorKind, hash: event.anchorHash }
  const device = state.devices.get(event.device)
  const instance = state.instances.get(event.instance)
  const spendsToken = event.token !== undefined && instance === undefined
  if (spendsToken) spendToken(state, event.token)
  const tpm = tpmStateOf(event)
  if (anchor.kind === 'ek' || anchor.kind === 'idevid') ownAnchor(state, anchor, event.device, tpm)

  const anchors = device?.anchors ?? []
  state.devices.set(event.device, {
    id: event.device,
    state: 'active',
    profile: event.profile,
    labels: event.labels,
    anchors: anchors.some((known) => anchorKey(known) === anchorKey(anchor)) ? anchors : [...anchors, anchor],
    instances: [...(device?.instances ?? []).filter((id) => id !== event.instance), event.instance],
  })
  const token = event.token ?? instance?.token
  state.instances.set(event.instance, {
    ...lineOf(instance),
    id: event.instance,
    device: event.device,
    profile: event.profile,
    anchor,
    binding: event.binding,
    ...(token !== undefined && { token }),
    ...(event.maker !== undefined && { maker: event.maker }),
    ...(tpm !== undefined && { tpm }),
    ...(event.reported !== undefined && { reported: event.reported }),
  })
  addPending(state, event, 'join')
  forgetInstances(state, event.device)
}

/** It is this device's for good; its TPM's history goes on from what was attested now. */
function ownAnchor(state: RegistryState, anchor: Anchor, device: DeviceId, tpm: AttestedTpm | undefined): void {
  const known = tpm ?? state.anchors.get(anchorKey(anchor))?.tpm
  state.anchors.set(anchorKey(anchor), { ...anchor, device, ...(known !== undefined && { tpm: known }) })
}

/** What an instance keeps when the same key joins again: its line of certificates. */
function lineOf(
  instance: Instance | undefined,
): Pick<Instance, 'generation' | 'pending' | 'current' | 'previous' | 'superseded'> {
  if (instance === undefined) return { generation: 0, superseded: [] }
  const { generation, pending, current, previous, superseded } = instance
  return {
    generation,
    ...(pending !== undefined && { pending }),
    ...(current !== undefined && { current }),
    ...(previous !== undefined && { previous }),
    superseded,
  }
}

function spendToken(state: RegistryState, id: TokenId): void {
  const token = tokenOf(state, id)
  state.tokens.set(id, { ...token, uses: { ...token.uses, spent: token.uses.spent + 1 } })
}

/** The next certificate; and where its key was attested, what the TPM's next attestation is compared with. */
export function renewDevice(state: RegistryState, event: Event<'device.renew'>): void {
  const { instance: id, displaces, at } = event
  const instance = instanceOf(state, id)
  const tpm = tpmStateOf(event)
  const displaced = displaces !== undefined && at !== undefined && { at, generation: instance.generation }
  state.instances.set(id, { ...instance, ...(tpm !== undefined && { tpm }), ...(displaced && { displaced }) })
  if (tpm !== undefined) ownAnchor(state, instance.anchor, event.device, tpm)
  addPending(state, event, 'renewal')
}

function tpmStateOf(event: Event<'device.enroll' | 'device.renew'>): AttestedTpm | undefined {
  const { akName, resetCount, restartCount, clock, safe, firmware, at } = event
  if (akName === undefined || resetCount === undefined || restartCount === undefined) return undefined
  if (clock === undefined || safe === undefined || firmware === undefined) return undefined
  return { akName, resetCount, restartCount, clock, safe, firmware, ...(at !== undefined && { at }) }
}

/** An instance has at most one pending certificate: a newer one supersedes it unused. */
function addPending(
  state: RegistryState,
  event: Event<'device.enroll' | 'device.renew'>,
  origin: CertificateRecord['origin'],
): void {
  const { pending: unused, ...instance } = instanceOf(state, event.instance)
  state.certificates.set(event.fingerprint, {
    fingerprint: event.fingerprint,
    serial: event.serial,
    spkiHash: event.spkiHash,
    tier: event.tier,
    notBefore: event.notBefore,
    notAfter: event.notAfter,
    certificate: event.certificate,
    ...(event.issuer !== undefined && { issuer: event.issuer }),
    device: event.device,
    instance: event.instance,
    state: 'pending',
    origin,
  })
  const superseded = supersede(state, instance, [unused])
  state.instances.set(instance.id, { ...instance, superseded, pending: event.fingerprint })
}

/** First use: pending becomes current, current becomes previous, and previous is over. */
export function promoteCertificate(state: RegistryState, event: Event<'device.promote'>): void {
  const { pending, current, previous, ...instance } = instanceOf(state, event.instance)
  if (pending !== event.fingerprint) throw corrupt(`certificate ${event.serial} was promoted and is not pending`)
  if (current !== undefined) amend(state, current, { state: 'previous' })
  const promoted = amend(state, pending, { state: 'current' })
  state.instances.set(instance.id, {
    ...instance,
    generation: instance.generation + 1,
    current: pending,
    ...(current !== undefined && { previous: current }),
    superseded: supersede(state, instance, [previous]),
  })
  if (promoted.origin === 'join') supersedeOtherInstances(state, event.device, event.instance)
}

/** One device is one machine: the first use of a new join ends every other instance of it. */
function supersedeOtherInstances(state: RegistryState, device: DeviceId, used: InstanceId): void {
  for (const other of deviceOf(state, device).instances) {
    if (other === used) continue
    const { pending, current, previous, ...instance } = instanceOf(state, other)
    state.instances.set(other, { ...instance, superseded: supersede(state, instance, [previous, current, pending]) })
  }
}

/** Whoever shows one of them is told to renew. */
export function rotateCertificates(state: RegistryState, device: DeviceId): void {
  for (const fingerprint of linesOf(state, device)) amend(state, fingerprint, { rotate: true })
}

/** They open nothing from now on. */
export function revokeCertificates(state: RegistryState, device: DeviceId): void {
  for (const fingerprint of linesOf(state, device)) amend(state, fingerprint, { state: 'revoked' })
}

/** All certificates of a device that are not superseded. */
function linesOf(state: RegistryState, device: DeviceId): readonly Fingerprint[] {
  return deviceOf(state, device).instances.flatMap((id) => {
    const { pending, current, previous } = instanceOf(state, id)
    return [pending, current, previous].filter((fingerprint) => fingerprint !== undefined)
  })
}

/** What the instance then remembers as superseded: these too, and the oldest no more. They open nothing from now on. */
function supersede(
  state: RegistryState,
  instance: Pick<Instance, 'superseded'>,
  certificates: readonly (Fingerprint | undefined)[],
): readonly Fingerprint[] {
  const ended = certificates.filter((fingerprint) => fingerprint !== undefined)
  for (const fingerprint of ended) amend(state, fingerprint, { state: 'superseded' })
  const all = [...instance.superseded, ...ended]
  const forgotten = all.slice(0, -remembered.supersededOfInstance)
  for (const fingerprint of forgotten) state.certificates.delete(fingerprint)
  return all.slice(forgotten.length)
}

/** Lets go of the oldest instances that hold no certificate in use. */
function forgetInstances(state: RegistryState, id: DeviceId): void {
  const device = deviceOf(state, id)
  const unused = device.instances.filter((each) => instanceOf(state, each).current === undefined)
  const forgotten = unused.slice(0, Math.max(0, device.instances.length - remembered.instancesOfDevice))
  for (const each of forgotten) {
    const { pending, previous, superseded } = instanceOf(state, each)
    for (const fingerprint of [pending, previous, ...superseded]) {
      if (fingerprint !== undefined) state.certificates.delete(fingerprint)
    }
    state.instances.delete(each)
  }
  if (forgotten.length > 0) {
    state.devices.set(id, { ...device, instances: device.instances.filter((each) => !forgotten.includes(each)) })
  }
}

function amend(
  state: RegistryState,
  fingerprint: Fingerprint,
  change: Partial<Pick<CertificateRecord, 'state' | 'rotate'>>,
): CertificateRecord {
  const amended = { ...certificateOf(state, fingerprint), ...change }
  state.certificates.set(fingerprint, amended)
  return amended
}
