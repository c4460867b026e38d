import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type AttestationResult, type DeviceIdentity, type IssuedCertificate, parseTrustDomain } from '#protocol'
import { CertificateAuthority, type CertificateAuthorityOptions } from '#ca'
import { createKeyPair, readDeviceIdentity, spkiHash, spkiOf } from '#x509'
import { attested, by, createWorld, credential, newToken } from '../registry/world.js'

export const trustDomain = parseTrustDomain('fleet.example')

/** A registry in memory, a folder that ends with the test, and the way to open the CA in it. */
export async function createCaWorld(t: TestContext) {
  const world = await createWorld()
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-ca-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const directory = join(folder, 'ca')
  const { registry, audit, now } = world
  const openCa = (over: Partial<CertificateAuthorityOptions> = {}) =>
    CertificateAuthority.open({ directory, trustDomain, registry, audit, now, ...over })
  return { ...world, folder, directory, openCa }
}
export type CaWorld = Awaited<ReturnType<typeof createCaWorld>>

export const newSpki = (): Uint8Array => spkiOf(createKeyPair('P-256').publicKey)

/** The attestation of a real key. */
export function attestedKey(spki: Uint8Array, anchor: Parameters<typeof attested>[1]): AttestationResult {
  return { ...attested('', anchor), spki, spkiHash: spkiHash(spki) } as AttestationResult
}

/** A token and the join that it is for. */
export async function tokenFor(world: CaWorld, id: string) {
  await world.registry.createToken(newToken(world, id), by)
  return credential(id)
}

export async function joinByToken(world: CaWorld, ca: CertificateAuthority, id: string, spki = newSpki()) {
  const token = await tokenFor(world, id)
  return ca.issue(attestedKey(spki, { token: id }), { token, peer: '192.0.2.7' })
}

/** Registers a device by its EK, and joins with it. */
export async function joinByTpm(world: CaWorld, ca: CertificateAuthority, ek: string, spki = newSpki()) {
  const token = await tokenFor(world, `for-${ek}`)
  return ca.issue(attestedKey(spki, { ek }), { token })
}

export function identityOf(certificate: IssuedCertificate): DeviceIdentity {
  return readDeviceIdentity(certificate.der, trustDomain)
}

/** Runs openssl beside some files. */
export function openssl(world: CaWorld, files: Readonly<Record<string, string>>, args: readonly string[]): string {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(world.folder, name), text)
  return execFileSync('openssl', args, { cwd: world.folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}
