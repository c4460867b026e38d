import type { DeviceId } from '#protocol'
import type { DeviceAttributes } from '#policy'
import type { Registry } from '#registry'

/** Who a device is to a policy; undefined when it is not known, is kept out, or holds no certificate that admits it. */
export function attributesOf(registry: Registry, id: DeviceId): DeviceAttributes | undefined {
  if (registry.locks.keepsOut(id)) return undefined
  const device = registry.device(id)
  const certificates = device?.instances.toReversed().flatMap((instance) => registry.certificatesOf(instance)) ?? []
  const inUse =
    certificates.find(({ state }) => state === 'current') ?? certificates.find(({ state }) => state === 'pending')
  if (device === undefined || inUse === undefined) return undefined
  return { id, tier: inUse.tier, labels: device.labels, quarantined: registry.locks.isQuarantined(id) }
}
