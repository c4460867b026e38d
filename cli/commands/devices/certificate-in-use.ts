import type { CertificateView, DeviceView } from '#protocol'

/** The one that the device shows, or is to show first. */
export function certificateInUse(device: DeviceView): CertificateView | undefined {
  const certificates = device.instances.flatMap((instance) => instance.certificates)
  return certificates.find(({ state }) => state === 'current') ?? certificates.find(({ state }) => state === 'pending')
}
