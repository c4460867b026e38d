import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { parseTrustDomain } from '#protocol'
import { type CertificateSpec, createCertificate, createKeyPair, encodePem, oids, spkiOf, tierPolicyOid } from '#x509'

/** A small world of certificates on a fixed day. */
export const trustDomain = parseTrustDomain('fleet.example')
export const now = new Date('2026-03-01T12:00:00Z')
export const dayLater = new Date('2026-03-02T11:55:00Z')

export interface Authority {
  readonly privateKey: KeyObject
  readonly certificate: Uint8Array
}

/** What a caller of these makers wants to be otherwise. */
export type Change = Partial<CertificateSpec>

interface KeyPair {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

export async function makeRoot(change: Change = {}, pair: KeyPair = createKeyPair('P-384')): Promise<Authority> {
  const { privateKey, publicKey } = pair
  const spec: CertificateSpec = {
    subject: [{ type: oids.commonName, value: 'Test root' }],
    spki: spkiOf(publicKey),
    notBefore: new Date('2026-01-01T00:00:00Z'),
    notAfter: new Date('2036-01-01T00:00:00Z'),
    authority: {},
    keyUsage: ['keyCertSign', 'cRLSign'],
    ...change,
  }
  return { privateKey, certificate: await createCertificate(spec, { privateKey }) }
}

export async function makeIssuing(root: Authority, change: Change = {}): Promise<Authority> {
  const { privateKey, publicKey } = createKeyPair('P-256')
  const spec: CertificateSpec = {
    subject: [{ type: oids.commonName, value: 'Test issuing' }],
    spki: spkiOf(publicKey),
    notBefore: new Date('2026-02-01T00:00:00Z'),
    notAfter: new Date('2026-05-01T00:00:00Z'),
    authority: { pathLength: 0, permittedUriHost: trustDomain },
    keyUsage: ['keyCertSign', 'cRLSign'],
    certificatePolicies: [oids.anyPolicy],
    ...change,
  }
  return { privateKey, certificate: await createCertificate(spec, root) }
}

export function deviceSpec(id: string, change: Change = {}): CertificateSpec {
  return {
    subject: [{ type: oids.commonName, value: id }],
    spki: spkiOf(createKeyPair('P-256').publicKey),
    notBefore: new Date('2026-03-01T11:55:00Z'),
    notAfter: dayLater,
    keyUsage: ['digitalSignature'],
    extKeyUsage: [oids.clientAuth],
    subjectAltName: [{ uri: `spiffe://${trustDomain}/device/${id}` }],
    certificatePolicies: [tierPolicyOid('tpm'), oids.verifiedTpmResidency, oids.verifiedTpmFixed],
    noRevAvail: true,
    ...change,
  }
}

/** An RSA pair; slow to make, so tests share what they can. */
export function rsaPair(modulusLength: number): KeyPair {
  return generateKeyPairSync('rsa', { modulusLength })
}

/** Runs openssl on some certificates, written as PEM files of these names into a folder of the test's own. */
export function openssl(
  t: TestContext,
  files: Readonly<Record<string, readonly Uint8Array[]>>,
  args: readonly string[],
) {
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-x509-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [name, certificates] of Object.entries(files)) {
    writeFileSync(join(folder, name), certificates.map((der) => encodePem('CERTIFICATE', der)).join(''))
  }
  return execFileSync('openssl', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}
