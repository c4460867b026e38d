import type { CertificateView, DeviceView, InstanceView, TokenView } from '#protocol'
import { viewVerdict } from '../attestation-view.js'
import { bindingOf, type CertificateRecord, type Registry, type Token } from '#registry'
import type { Sight } from '../inventory/sight.js'

/** A device as operators see it. */
export function viewDevice(sight: Sight, registry: Registry): DeviceView {
  const { device, isOnline: online, seenAt, standing, reported } = sight
  const instances = device.instances.map((id): InstanceView => {
    const clone = registry.instance(id)?.clone
    const certificates = registry.certificatesOf(id).map(viewCertificate)
    return { id, certificates, ...(clone && { clone: { ...clone, at: isoTime(clone.at) } }) }
  })
  const { id, state, profile, labels, anchors } = device
  const attestation = registry.attestation(id)
  const verdict = attestation !== undefined && { verdict: viewVerdict(attestation) }
  const view = {
    ...{ id, state, profile, labels, anchors, online },
    ...(seenAt !== undefined && { seen: isoTime(seenAt) }),
    ...(standing !== undefined && { standing }),
    ...(Object.keys(reported).length > 0 && { reported }),
    ...verdict,
    instances,
  }
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
    ...bindingOf(token),
    uses,
    notAfter: isoTime(notAfter),
  }
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
