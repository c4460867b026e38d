import { type CertificateSerial, decodeHex, encodeBase64url, type KeyIdentifier } from '#protocol'
import { X509Error } from './errors.js'
import { readIssuerKey, readSerial } from './identity.js'

/** How RFC 9773 §4.1 names a certificate. @throws X509Error MALFORMED, IDENTITY_INVALID */
export function certificateId(der: Uint8Array): string {
  const issuer = readIssuerKey(der)
  if (issuer === undefined) throw new X509Error('IDENTITY_INVALID', 'expected an authority key identifier')
  return formatCertificateId(issuer, readSerial(der))
}

/** By the key that signed it and its serial number, each with the bytes that it has in DER. */
export function formatCertificateId(issuer: KeyIdentifier, serial: CertificateSerial): string {
  return `${encodeBase64url(decodeHex(issuer))}.${encodeBase64url(integerBytes(serial))}`
}

/** X.690 §8.3: as few as can be, and the first bit is a sign. */
function integerBytes(serial: CertificateSerial): Uint8Array {
  const bytes = decodeHex(serial)
  const value = bytes.subarray(bytes.findIndex((byte) => byte !== 0))
  return (value[0] ?? 0) < 0x80 ? value : Uint8Array.of(0, ...value)
}
