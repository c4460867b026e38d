import { type AuditEvent, parseLockTarget, type RegistryEvent } from '#protocol'
import {
  enrollDevice,
  promoteCertificate,
  renewDevice,
  revokeCertificates,
  rotateCertificates,
} from './apply-certificates.js'
import { applyToOperators } from './apply-operators.js'
import { applyAttestation } from './attestations.js'
import { deviceOf, tokenOf } from './known.js'
import { applyClone } from './renewal/apply-clone.js'
import { applyReport } from './reports.js'
import { forgetRun, recordRun } from './runs/apply-runs.js'
import { anchorKey, type RegistryState } from './state.js'
import { bindingOf } from './token-binding.js'

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
    case 'device.clone':
      return applyClone(state, event)
    case 'device.rotate':
      return rotateCertificates(state, event.device)
    case 'device.revoke':
      return revokeDevice(state, event)
    case 'device.report':
      return applyReport(state, event)
    case 'device.attest':
      return applyAttestation(state, event)
    case 'join.oidc':
      return recordRun(state, event)
    case 'run.forget':
      return forgetRun(state, event)
    case 'lock.add':
      return addLock(state, event)
    case 'lock.remove':
    case 'lock.expire':
      state.epoch = Math.max(state.epoch, event.revision)
      return state.locks.delete(event.lock)
    case 'service.restore':
      state.epoch = Math.max(state.epoch, event.epoch)
      return
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
  'device.clone': true,
  'device.rotate': true,
  'device.revoke': true,
  'device.report': true,
  'device.attest': true,
  'join.oidc': true,
  'run.forget': true,
  'lock.add': true,
  'lock.remove': true,
  'lock.expire': true,
  'service.restore': true,
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
    ...bindingOf(event),
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

function revokeDevice(state: RegistryState, event: Event<'device.revoke'>): void {
  const device = deviceOf(state, event.device)
  revokeCertificates(state, device.id)
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
