import { isIP } from 'node:net'
import type { CertificateSerial, DeviceId, OperatorName, Tier, TrustDomain } from '#protocol'
import { type CertificateSpec, oids, tierPolicyOid, type Validity } from '#x509'
import { CaError } from './errors.js'

/*
 * Every certificate that we issue, as data. What the profiles share stands at the end.
 */

const minute = 60 * 1000
const hour = 60 * minute
const day = 24 * hour

/** How long each lives, in milliseconds; devices and operators by default. */
export const lifetimes = {
  root: 3652 * day,
  issuing: 90 * day,
  server: 30 * day,
  operator: 8 * hour,
  operatorMost: 30 * day,
  device: day,
  deviceLeast: 5 * minute,
  deviceMost: 7 * day,
} as const

/** What a profile is filled in with. Times are milliseconds since 1970. */
export interface Blank {
  readonly trustDomain: TrustDomain
  readonly spki: Uint8Array
  readonly serial: CertificateSerial
  readonly validity: Validity
}

/** One CA below it, and nothing below that. */
export function rootProfile(blank: Blank): CertificateSpec {
  return {
    ...common(blank, `Touchmark root ${blank.trustDomain}`),
    authority: { pathLength: 1 },
    keyUsage: ['keyCertSign', 'cRLSign'],
    subjectAltName: [{ uri: `spiffe://${blank.trustDomain}` }], // SPIFFE X509-SVID §3.1: a CA names its trust domain
  }
}

/** anyPolicy, or the tiers of its devices would fail whoever asks for them (RFC 5280 §6.1.3 (d)). */
export function issuingProfile(blank: Blank): CertificateSpec {
  const since = new Date(blank.validity.notBefore).toISOString().slice(0, 10)
  return {
    ...common(blank, `Touchmark issuing ${since} ${blank.trustDomain}`),
    authority: { pathLength: 0, permittedUriHost: blank.trustDomain },
    keyUsage: ['keyCertSign', 'cRLSign'],
    subjectAltName: [{ uri: `spiffe://${blank.trustDomain}` }],
    certificatePolicies: [oids.anyPolicy],
  }
}

export interface DeviceFacts {
  readonly device: DeviceId
  readonly tier: Tier
  /** Evidence in this very request showed that the key lives in a genuine TPM and cannot leave it. */
  readonly provenInTpm: boolean
}

/** A device's certificate says who it is and how its key was proven; what it may do is looked up, never certified. */
export function deviceProfile(blank: Blank, { device, tier, provenInTpm }: DeviceFacts): CertificateSpec {
  const residency = provenInTpm ? [oids.verifiedTpmResidency, oids.verifiedTpmFixed] : []
  return {
    ...common(blank, device),
    keyUsage: ['digitalSignature'],
    extKeyUsage: [oids.clientAuth],
    subjectAltName: [{ uri: `spiffe://${blank.trustDomain}/device/${device}` }],
    certificatePolicies: [tierPolicyOid(tier), ...residency],
    noRevAvail: blank.validity.notAfter - blank.validity.notBefore <= day,
  }
}

/** Whether a tier stands on evidence of a genuine TPM, when it is given in the same request as that evidence. */
export function isProvenInTpm(tier: Tier): boolean {
  return tier === 'tpm' || tier === 'tpm+pcr'
}

export function operatorProfile(blank: Blank, operator: OperatorName): CertificateSpec {
  return {
    ...common(blank, operator),
    keyUsage: ['digitalSignature'],
    extKeyUsage: [oids.clientAuth],
    subjectAltName: [{ uri: `spiffe://${blank.trustDomain}/operator/${operator}` }],
  }
}

/** @throws CaError HOST_INVALID */
export function serverProfile(blank: Blank, hosts: readonly string[]): CertificateSpec {
  const [first] = hosts
  if (first === undefined) throw new CaError('HOST_INVALID', 'a server certificate names at least one host')
  return {
    ...common(blank, first),
    keyUsage: ['digitalSignature'],
    extKeyUsage: [oids.serverAuth],
    subjectAltName: hosts.map(hostName),
  }
}

function common({ spki, serial, validity }: Blank, commonName: string) {
  return {
    subject: [{ type: oids.commonName, value: commonName.slice(0, 64) }], // ub-common-name, RFC 5280 appendix A
    spki,
    serial,
    notBefore: new Date(validity.notBefore),
    notAfter: new Date(validity.notAfter),
  }
}

function hostName(host: string): { ip: string } | { dns: string } {
  if (isIP(host) !== 0) return { ip: host }
  const label = '[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?'
  if (host.length > 253 || !new RegExp(`^(\\*\\.)?${label}(\\.${label})*$`).test(host)) {
    throw new CaError('HOST_INVALID', `not a host name or IP address: ${JSON.stringify(host.slice(0, 80))}`)
  }
  return { dns: host }
}
