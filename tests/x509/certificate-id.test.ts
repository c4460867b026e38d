import assert from 'node:assert/strict'
import test from 'node:test'
import { parseCertificateSerial, parseKeyIdentifier } from '#protocol'
import { certificateId, formatCertificateId } from '#x509'

const issuer = parseKeyIdentifier('69885b6b87464041e1b37b847ba0ae2cde01c8d4')
const serial = (digits: string) => parseCertificateSerial(digits.padStart(32, '0'))

test('names a certificate as the example of RFC 9773 §4.1 does', () => {
  assert.equal(formatCertificateId(issuer, serial('87654321')), 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE')
})

test('a serial number has the bytes that DER gives it', () => {
  assert.equal(formatCertificateId(issuer, serial('7f')), 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.fw')
  assert.equal(formatCertificateId(issuer, serial('0100')), 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AQA')
})

test('what is no certificate has no name', () => {
  assert.throws(() => certificateId(new Uint8Array()), { code: 'MALFORMED' })
})
