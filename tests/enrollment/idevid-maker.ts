import { type CertificateSpec, createCertificate, createKeyPair, oids, spkiHash, spkiOf } from '#x509'
import { type Authority, type Change, makeRoot } from '../x509/world.js'

/** IEEE 802.1AR §8.7: the certificate of a machine does not end. */
export const never = new Date('9999-12-31T23:59:59Z')
export const since = new Date('2020-01-01T00:00:00Z')

/** ACME, which makes machines. */
export function makeMaker(): Promise<Authority> {
  return makeRoot({ ...named('ACME'), notBefore: since, notAfter: never })
}

export function named(name: string): Pick<Required<Change>, 'subject'> {
  return { subject: [{ type: oids.commonName, value: name }] }
}

/** As a maker writes it (IEEE 802.1AR §8): no end, no extended key usage, the serial number in the subject. */
export async function makeIdevid(issuer: Authority, change: Change = {}) {
  const { privateKey, publicKey } = createKeyPair('P-256')
  const serial = '4711-0042'
  const spec: CertificateSpec = {
    subject: [{ type: oids.serialNumber, value: serial }],
    spki: spkiOf(publicKey),
    ...{ notBefore: since, notAfter: never, keyUsage: ['digitalSignature'] as const },
    ...change,
  }
  const der = await createCertificate(spec, issuer)
  return {
    privateKey,
    spki: spec.spki,
    der,
    serial,
    anchor: { kind: 'idevid', hash: spkiHash(spkiOf(publicKey)) } as const,
  }
}
