import {
  type CertificateSerial,
  CodedError,
  type DeviceIdentity,
  encodeHex,
  type KeyIdentifier,
  type OperatorName,
  parseCertificateSerial,
  parseDeviceId,
  parseKeyIdentifier,
  parseOperatorName,
  type Tier,
  type TrustDomain,
} from '#protocol'
import { type Certificate, decodeCertificate } from './certificate.js'
import { X509Error } from './errors.js'
import { readAuthorityKeyIdentifier, readBasicConstraints, readExtKeyUsage, readPolicies } from './extensions.js'
import { fingerprintOf, spkiHash } from './keys.js'
import { generalNameTags, readAscii, readAttribute, readGeneralNames } from './names.js'
import { oids } from './oids.js'
import { tiersAmong } from './tiers.js'

/**
 * Who a certificate says its holder is. It must be of the profile that our CA writes, to the letter; whether it was our
 * CA (the TLS handshake or `verifyPath`), and whether it still opens anything (the registry), is decided elsewhere.
 * @throws X509Error MALFORMED, TOO_LARGE, IDENTITY_INVALID
 */
export function readDeviceIdentity(der: Uint8Array, trustDomain: TrustDomain): DeviceIdentity {
  const certificate = decodeCertificate(der)
  const { name, serial } = readClient(certificate, `spiffe://${trustDomain}/device/`)
  const identity = {
    deviceId: asIdentity(() => parseDeviceId(name)),
    serial,
    fingerprint: fingerprintOf(der),
    spkiHash: spkiHash(certificate.spki),
    tier: readTier(certificate),
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
  }
  return identity as DeviceIdentity
}

/** The operator that a certificate names; as above. @throws X509Error MALFORMED, TOO_LARGE, IDENTITY_INVALID */
export function readOperatorName(der: Uint8Array, trustDomain: TrustDomain): OperatorName {
  const { name } = readClient(decodeCertificate(der), `spiffe://${trustDomain}/operator/`)
  return asIdentity(() => parseOperatorName(name))
}

/** The serial number as it is written everywhere: 32 hexadecimal digits. @throws X509Error IDENTITY_INVALID, MALFORMED */
export function readSerial(der: Uint8Array): CertificateSerial {
  return serialOf(decodeCertificate(der))
}

/** Which key signed it, as the certificate itself says. @throws X509Error MALFORMED */
export function readIssuerKey(der: Uint8Array): KeyIdentifier | undefined {
  const extension = decodeCertificate(der).extensions.get(oids.authorityKeyIdentifier)
  const identifier = extension && readAuthorityKeyIdentifier(extension.der)
  return identifier && parseKeyIdentifier(encodeHex(identifier))
}

/** What devices' and operators' certificates have in common: a leaf for TLS clients, named the same way twice. */
function readClient(certificate: Certificate, uriPrefix: string): { name: string; serial: CertificateSerial } {
  requireLeaf(certificate)
  requireClientAuth(certificate)
  const name = readCommonName(certificate)
  const uri = readOnlyUri(certificate)
  if (uri !== uriPrefix + name) throw invalid(`expected the URI ${uriPrefix}${name}, got ${uri}`)
  return { name, serial: serialOf(certificate) }
}

function requireLeaf(certificate: Certificate): void {
  const extension = certificate.extensions.get(oids.basicConstraints)
  if (extension === undefined || readBasicConstraints(extension.der).ca) throw invalid('expected CA:FALSE')
}

function requireClientAuth(certificate: Certificate): void {
  const extension = certificate.extensions.get(oids.extKeyUsage)
  const purposes = extension === undefined ? [] : readExtKeyUsage(extension.der)
  if (purposes.length !== 1 || purposes[0] !== oids.clientAuth)
    throw invalid('expected clientAuth and no other purpose')
}

function readCommonName(certificate: Certificate): string {
  const [name, ...others] = readAttribute(certificate.subject, oids.commonName)
  if (name === undefined || others.length > 0) throw invalid('expected exactly one common name')
  return name
}

/** The one name in the subject alternative name; a second of whatever kind would be a second identity. */
function readOnlyUri(certificate: Certificate): string {
  const extension = certificate.extensions.get(oids.subjectAltName)
  const [name, ...others] = extension === undefined ? [] : readGeneralNames(extension.der)
  if (name === undefined || name.tag !== generalNameTags.uri || others.length > 0) {
    throw invalid('expected exactly one subject alternative name, a URI')
  }
  return readAscii(name.content)
}

function readTier(certificate: Certificate): Tier {
  const extension = certificate.extensions.get(oids.certificatePolicies)
  const [tier, ...others] = tiersAmong(extension === undefined ? [] : readPolicies(extension.der))
  if (tier === undefined || others.length > 0) throw invalid('expected exactly one tier among the policies')
  return tier
}

function serialOf(certificate: Certificate): CertificateSerial {
  const hex = encodeHex(certificate.serial).replace(/^00/, '').padStart(32, '0')
  if ((certificate.serial[0] ?? 0x80) >= 0x80 || hex.length > 32) {
    throw invalid('expected a positive serial number of at most 128 bits')
  }
  return parseCertificateSerial(hex)
}

function asIdentity<T>(parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    if (cause instanceof CodedError) throw new X509Error('IDENTITY_INVALID', cause.message, { cause })
    throw cause
  }
}

function invalid(problem: string): X509Error {
  return new X509Error('IDENTITY_INVALID', `not a client certificate of ours: ${problem}`)
}
