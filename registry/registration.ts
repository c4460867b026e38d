import { hasLabels } from '#protocol'
import { checkLabels, checkNewDevice, type NewDevice } from './checks.js'
import { RegistryError } from './errors.js'
import { anchorKey, type Device, type RegistryState } from './state.js'

/**
 * What registering a device comes to: `known` where it stands there just so, and nothing is left to do. A device that has
 * joined since is the same device; one that was revoked is not to be had again by the old line of a file.
 * @throws RegistryError LABEL_INVALID, DEVICE_REVOKED, ID_TAKEN, ANCHOR_TAKEN
 */
export function planRegistration(state: RegistryState, wanted: NewDevice): 'new' | 'known' {
  const device = state.devices.get(wanted.device)
  if (device === undefined) {
    checkNewDevice(state, wanted)
    return 'new'
  }
  checkLabels(wanted.labels)
  if (device.state === 'revoked') throw new RegistryError('DEVICE_REVOKED', `device ${device.id} was revoked`)
  requireSame(device, wanted)
  return 'known'
}

function requireSame(device: Device, { profile, labels, anchor }: NewDevice): void {
  const isAnchor = device.anchors.some((known) => anchorKey(known) === anchorKey(anchor))
  if (!isAnchor) throw taken(device, `another ${anchor.kind}`)
  if (device.profile !== profile) throw taken(device, `the profile ${device.profile}`)
  const isLabelled = hasLabels(device.labels, labels) && hasLabels(labels, device.labels)
  if (!isLabelled) throw taken(device, 'other labels, which "devices label" changes')
}

function taken({ id }: Device, other: string): RegistryError {
  return new RegistryError('ID_TAKEN', `device ${id} exists and has ${other}`)
}
