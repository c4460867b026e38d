import {
  type AuditEvent,
  type DeviceId,
  type Fingerprint,
  type InstanceId,
  parseLockTarget,
  type RegistryEvent,
  type TokenId,
  type TpmState,
} from '#protocol'
import { RegistryError } from './errors.js'
import { applyToOperators } from './operators.js'
import {
  anchorKey,
  type CertificateRecord,
  type CertificateState,
  type Device,
  type Instance,
  type RegistryState,
  type Token,
} from './state.js'

/**
 * The log keeps everything for ever; the registry remembers of what is over only the last few, so that a machine that
 * joins or renews without end cannot make it grow.
 */
const remembered = { instancesOfDevice: 8, supersededOfInstance: 8 } as const

/**
 * What one event does to the state. Live changes and replay both come through here and nothing else changes the state,
 * so that a registry rebuilt from the log is the registry that wrote it. It asks no clock: events say their times.
 * @throws RegistryError REGISTRY_CORRUPT when the event does not follow from the ones before it
 */
export function applyEvent(state: RegistryState, event: RegistryEvent): void {
  switch (event.event) {
    case 'token.create':
      return createToken(state, event)
    case 'token.revoke':
      return state.tokens.set(event.token, { ...tokenOf(state, event.token), revoked: true })
    case 'device.register':
      return registerDevice(state, event)
    case 'device.label':
      return state.devices.set(event.device, { ...deviceOf(state, event.device), labels: event.labels })
    case 'device.enroll':
      return enrollDevice(state, event)
    case 'device.renew':
      return renewDevice(state, event)
    case 'device.promote':
      return promoteCertificate(state, event)
    case 'device.revoke':
      return revokeDevice(state, event)
    case 'lock.add':
      return addLock(state, event)
    case 'lock.remove':
    case 'lock.expire':
      state.epoch = Math.max(state.epoch, event.revision)
      return state.locks.delete(event.lock)
    case 'operator.invite':
    case 'operator.issue':
    case 'operator.revoke':
      return applyToOperators(state, event)
  }
}

/** Whether an event of the log is one of those that make the registry. */
export function isRegistryEvent<E extends AuditEvent>(event: E): event is E & RegistryEvent {
  return Object.hasOwn(registryEvents, event.event)
}

const registryEvents: Readonly<Record<RegistryEvent['event'], true>> = {
  'token.create': true,
  'token.revoke': true,
  'device.register': true,
  'device.label': true,
  'device.enroll': true,
  'device.renew': true,
  'device.promote': true,
  'device.revoke': true,
  'lock.add': true,
  'lock.remove': true,
  'lock.expire': true,
  'operator.issue': true,
  'operator.invite': true,
  'operator.revoke': true,
}

type Event<Name extends RegistryEvent['event']> = Extract<RegistryEvent, { readonly event: Name }>

function createToken(state: RegistryState, event: Event<'token.create'>): void {
  state.tokens.set(event.token, {
    id: event.token,
    secretHash: event.secretHash,
    profile: event.profile,
    ...(event.device !== undefined && { device: event.device }),
    labels: event.labels,
    uses: { allowed: event.uses, spent: 0 },
    notAfter: event.notAfter,
    revoked: false,
  })
}

function registerDevice(state: RegistryState, event: Event<'device.register'>): void {
  const anchor = { kind: event.anchorKind, hash: event.anchorHash }
  state.anchors.set(anchorKey(anchor), { ...anchor, device: event.device })
  state.devices.set(event.device, {
    id: event.device,
    state: 'registered',
    profile: event.profile,
    labels: event.labels,
    anchors: [anchor],
    instances: [],
  })
}

/** A join: the device is new or known, its instance too; the certificate waits for its first use. */
function enrollDevice(state: RegistryState, event: Event<'device.enroll'>): void {
  const anchor = { kind: event.anchorKind, hash: event.anchorHash }
  const device = state.devices.get(event.device)
  const instance = state.instances.get(event.instance)
  const spendsToken = event.token !== undefined && instance === undefined
  if (spendsToken) spendToken(state, event.token)
  if (anchor.kind === 'ek' || anchor.kind === 'idevid')
    state.anchors.set(anchorKey(anchor), { ...anchor, device: event.device })

  const anchors = device?.anchors ?? []
  state.devices.set(event.device, {
    id: event.device,
    state: 'active',
    profile: event.profile,
    labels: event.labels,
    anchors: anchors.some((known) => anchorKey(known) === anchorKey(anchor)) ? anchors : [...anchors, anchor],
    instances: [...(device?.instances ?? []).filter((id) => id !== event.instance), event.instance],
  })
  const tpm = tpmStateOf(event)
  const token = event.token ?? instance?.token
  state.instances.set(event.instance, {
    ...lineOf(instance),
    id: event.instance,
    device: event.device,
    profile: event.profile,
    anchor,
    binding: event.binding,
    ...(token !== undefined && { token }),
    ...(tpm !== undefined && { tpm }),
    ...(event.reported !== undefined && { reported: event.reported }),
  })
  addPending(state, event, 'join')
  forgetInstances(state, event.device)
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
function renewDevice(state: RegistryState, event: Event<'device.renew'>): void {
  const tpm = tpmStateOf(event)
  if (tpm !== undefined) state.instances.set(event.instance, { ...instanceOf(state, event.instance), tpm })
  addPending(state, event, 'renewal')
}

function tpmStateOf(event: Event<'device.enroll' | 'device.renew'>): TpmState | undefined {
  const { akName, resetCount, restartCount, clock, safe, firmware } = event
  if (akName === undefined || resetCount === undefined || restartCount === undefined) return undefined
  if (clock === undefined || safe === undefined || firmware === undefined) return undefined
  return { akName, resetCount, restartCount, clock, safe, firmware }
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
function promoteCertificate(state: RegistryState, event: Event<'device.promote'>): void {
  const { pending, current, previous, ...instance } = instanceOf(state, event.instance)
  if (pending !== event.fingerprint) throw corrupt(`certificate ${event.serial} was promoted and is not pending`)
  if (current !== undefined) mark(state, current, 'previous')
  const promoted = mark(state, pending, 'current')
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

function revokeDevice(state: RegistryState, event: Event<'device.revoke'>): void {
  const device = deviceOf(state, event.device)
  for (const id of device.instances) {
    const { pending, current, previous } = instanceOf(state, id)
    for (const fingerprint of [pending, current, previous]) {
      if (fingerprint !== undefined) mark(state, fingerprint, 'revoked')
    }
  }
  state.epoch = Math.max(state.epoch, event.epoch)
  state.devices.set(device.id, {
    ...device,
    state: 'revoked',
    revocation: {
      at: event.at,
      reason: event.reason,
      by: event.operator,
      ...(event.comment !== undefined && { comment: event.comment }),
      epoch: event.epoch,
    },
  })
}

function addLock(state: RegistryState, event: Event<'lock.add'>): void {
  state.epoch = Math.max(state.epoch, event.revision)
  state.locks.set(event.lock, {
    id: event.lock,
    target: parseLockTarget(event.target),
    mode: event.mode,
    reason: event.comment,
    by: event.operator,
    at: event.at,
    ...(event.notAfter !== undefined && { notAfter: event.notAfter }),
    revision: event.revision,
  })
}

/** What the instance then remembers as superseded: these too, and the oldest no more. They open nothing from now on. */
function supersede(
  state: RegistryState,
  instance: Pick<Instance, 'superseded'>,
  certificates: readonly (Fingerprint | undefined)[],
): readonly Fingerprint[] {
  const ended = certificates.filter((fingerprint) => fingerprint !== undefined)
  for (const fingerprint of ended) mark(state, fingerprint, 'superseded')
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

function mark(state: RegistryState, fingerprint: Fingerprint, as: CertificateState): CertificateRecord {
  const certificate = state.certificates.get(fingerprint)
  if (certificate === undefined) throw corrupt(`certificate ${fingerprint} is not known`)
  const marked = { ...certificate, state: as }
  state.certificates.set(fingerprint, marked)
  return marked
}

function deviceOf(state: RegistryState, id: DeviceId): Device {
  return state.devices.get(id) ?? fail(`device ${id} is not known`)
}

function instanceOf(state: RegistryState, id: InstanceId): Instance {
  return state.instances.get(id) ?? fail(`instance ${id} is not known`)
}

function tokenOf(state: RegistryState, id: TokenId): Token {
  return state.tokens.get(id) ?? fail(`token ${id} is not known`)
}

function fail(problem: string): never {
  throw corrupt(problem)
}

function corrupt(problem: string): RegistryError {
  return new RegistryError('REGISTRY_CORRUPT', `an event does not follow from those before it: ${problem}`)
}
