import type { DeviceId } from '#protocol'
import type { DeviceAttributes } from '#policy'
import type { CertificateRecord, Device, Registry } from '#registry'

/** Who a device is to a policy; undefined when it is not known, is kept out, or holds no certificate that admits it. */
export function attributesOf(
  registry: Pick<Registry, 'device' | 'certificatesOf' | 'locks'>,
  id: DeviceId,
): DeviceAttributes | undefined {
  if (registry.locks.keepsOut(id)) return undefined
  const device = registry.device(id)
  const inUse = device && certificateInUse(registry, device)
  if (device === undefined || inUse === undefined) return undefined
  return { id, tier: inUse.tier, labels: device.labels, quarantined: registry.locks.isQuarantined(id) }
}

/** Of the newest machine that has one; what was not used yet counts only where nothing else is there. */
export function certificateInUse(
  registry: Pick<Registry, 'certificatesOf'>,
  { instances }: Device,
): CertificateRecord | undefined {
  let pending: CertificateRecord | undefined
  for (let at = instances.length - 1; at >= 0; at--) {
    const instance = instances[at]
    for (const certificate of instance === undefined ? [] : registry.certificatesOf(instance)) {
      if (certificate.state === 'current') return certificate
      if (certificate.state === 'pending') pending ??= certificate
    }
  }
  return pending
}
