import type { DeviceIdentity, JoinAnswer, RenewalInfo, RenewRequest, TpmRenewRequest, TrustDomain } from '#protocol'
import { type CertificateRecord, type Instance, type Registry, RegistryError } from '#registry'
import { readDeviceIdentity, X509Error } from '#x509'
import type { Channel } from '../channel.js'
import type { Desk } from '../desk.js'
import { EnrollmentError } from '../errors.js'
import { type CsrReading, requireClaims } from '../evidence/csr-claims.js'
import { contextOf, type RenewalKey } from '../issuance.js'
import { verifyPresented } from '../presented.js'
import { renewalInfoOf } from '../renewal-info.js'

/** Spec §5, over a TLS connection made with the certificate that is to be renewed. @throws EnrollmentError */
export function renew(
  desk: Desk,
  certificate: Uint8Array,
  request: RenewRequest,
  channel: Channel,
  reading: CsrReading,
): Promise<JoinAnswer> {
  const { reception, ca, registry, trustDomain, issuance, entrance, profiles, now } = desk
  return reception.serve({ method: 'renew', channel, certificate }, async (known) => {
    const identity = readIdentity(certificate, trustDomain)
    known.serial = identity.serial
    const record = requireIssuedHere(registry, identity)
    known.device = identity.deviceId
    verifyPresented(ca, certificate, { notAfter: record.notAfter, now: now() })
    const binding = reading === 'claims' ? requireClaims(request.csr, { channel, certificate }) : 'none'
    return reception.work('proven', async () => {
      const instance = requireInstance(registry, record)
      const key = await renewalKey(desk, instance, request, channel)
      const offline = profiles.offlineTermsOf(instance.profile)
      const context = { ...contextOf(channel, request.reported), binding, offline }
      return entrance.letStay(instance, profiles.find(instance.profile), () => issuance.renew(identity, key, context))
    })
  })
}

/** Spec §5: when the certificate is to be renewed that this TLS connection was made with. @throws EnrollmentError */
export function renewalInfo(
  { reception, registry, trustDomain }: Desk,
  certificate: Uint8Array,
  id: string,
  channel: Channel,
): Promise<RenewalInfo> {
  return reception.serve({ method: 'renew', channel, certificate }, async (known) => {
    const identity = readIdentity(certificate, trustDomain)
    known.serial = identity.serial
    return renewalInfoOf(registry, { der: certificate, identity, id, peer: channel.peer })
  })
}

function readIdentity(der: Uint8Array, trustDomain: TrustDomain): DeviceIdentity {
  try {
    return readDeviceIdentity(der, trustDomain)
  } catch (cause) {
    if (!(cause instanceof X509Error)) throw cause
    throw new EnrollmentError('RENEWAL_REFUSED', cause.message, { cause })
  }
}

/** Cheap, and before anything is signed: to stand in the table by the whole DER is to have been issued here. */
function requireIssuedHere(registry: Pick<Registry, 'certificate'>, identity: DeviceIdentity): CertificateRecord {
  const record = registry.certificate(identity.fingerprint)
  if (record !== undefined) return record
  throw new RegistryError('UNKNOWN_CERTIFICATE', `certificate ${identity.serial} was not issued here`)
}

function requireInstance(registry: Pick<Registry, 'instance'>, { instance: id }: CertificateRecord): Instance {
  const instance = registry.instance(id)
  if (instance !== undefined) return instance
  throw new RegistryError('UNKNOWN_CERTIFICATE', `instance ${id} is over`)
}

/** @throws EnrollmentError */
async function renewalKey(
  { profiles, challenges, verifier, verdicts, pcrPolicyFor, trustDomain, now }: Desk,
  instance: Instance,
  request: RenewRequest,
  channel: Channel,
): Promise<RenewalKey> {
  if (!hasEvidence(request) || request.quote === undefined) verdicts.requireQuoteIfDue(instance)
  if (!hasEvidence(request)) return { spki: (await verifier.verify('csr', request.csr, 'proven')).spki }
  const profile = profiles.require(instance.profile)
  const bound = challenges.bind(request, channel, profile)
  const pcrPolicy = pcrPolicyFor(profile.name)
  const at = new Date(now())
  const reference = { profile, trustDomain, channel: bound, akName: instance.tpm?.akName, pcrPolicy, at }
  const { reported: _, ...evidence } = request
  const { attestation, pcr } = await verifier.verify('tpmRenewal', { evidence, reference }, 'proven')
  return { spki: attestation.spki, attestation, pcr, eventLog: request.eventLog }
}

function hasEvidence(request: RenewRequest): request is TpmRenewRequest {
  return 'certify' in request
}
