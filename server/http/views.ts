import type { CertificateView, DeviceView, InstanceView, SessionView, TokenView } from '#protocol'
import { viewVerdict } from '../attestation-view.js'
import type { CertificateRecord, Device, Registry, Token } from '#registry'

/** A device as operators see it. */
export function viewDevice(device: Device, registry: Registry, online: boolean): DeviceView {
  const instances = device.instances.map((id): InstanceView => {
    return { id, certificates: registry.certificatesOf(id).map(viewCertificate) }
  })
  const { id, state, profile, labels, anchors } = device
  const attestation = registry.attestation(id)
  const verdict = attestation !== undefined && { verdict: viewVerdict(attestation) }
  const view = { id, state, profile, labels, anchors, online, ...verdict, instances }
  if (device.state !== 'revoked') return view
  const { at, reason, by, comment } = device.revocation
  return { ...view, revoked: { at: isoTime(at), reason, by, ...(comment !== undefined && { comment }) } }
}

export function viewToken(token: Token, now: number): TokenView {
  const { id, profile, labels, device, uses, notAfter } = token
  return {
    id,
    profile,
    state: tokenState(token, now),
    ...(device !== undefined && { device }),
    labels,
    uses,
    notAfter: isoTime(notAfter),
  }
}

/** The devices that have a session with a live connection. */
export function onlineDevices(sessions: readonly SessionView[]): ReadonlySet<string> {
  return new Set(sessions.filter(({ connected }) => connected).map(({ device }) => device))
}

export function isoTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}

function viewCertificate(certificate: CertificateRecord): CertificateView {
  const { serial, fingerprint, state, tier, issuer, notBefore, notAfter, rotate } = certificate
  return {
    ...{ serial, fingerprint, state, tier },
    ...(issuer !== undefined && { issuer }),
    ...{ notBefore: isoTime(notBefore), notAfter: isoTime(notAfter) },
    ...(rotate === true && { rotate }),
  }
}

function tokenState({ revoked, uses, notAfter }: Token, now: number): TokenView['state'] {
  if (revoked) return 'revoked'
  if (uses.spent >= uses.allowed) return 'spent'
  return notAfter <= now ? 'expired' : 'usable'
}
