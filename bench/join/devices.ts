import { createHash, sign } from 'node:crypto'
import { join } from 'node:path'
import { decodeTpmChallenge, encodeBase64url, parseProfileName, parseTrustDomain } from '#protocol'
import { type EkAuthority, openSoftwareTpm } from '#simulators'
import { decodePublic, qualifyingData, type SignedAttestation, toSpki } from '#tpm'
import { createCsr, createKeyPair, spkiOf } from '#x509'
import type { Visit } from './door.js'

/** A device before its first boot: whatever it can make beforehand is made, so that it is the server that is measured. */
export interface Device {
  /** All that it says over its connection. */
  enroll(visit: Visit): Promise<void>
}

export const kinds = ['token', 'tpm', 'handshake'] as const
/** How a device comes: by token, by TPM, or no further than TLS. */
export type Kind = (typeof kinds)[number]

export interface Belongings {
  /** Lets so many join; a TPM shows it too, for genuine is not the same as ours. */
  readonly token: string
  readonly ekAuthority: EkAuthority
  readonly folder: string
}

const profile = parseProfileName('default')
const trustDomain = parseTrustDomain('touchmark.local')

export async function createDevice(kind: Kind, name: string, belongings: Belongings): Promise<Device> {
  switch (kind) {
    case 'token':
      return createTokenDevice(belongings)
    case 'tpm':
      return createTpmDevice(name, belongings)
    case 'handshake':
      return { enroll: () => Promise.resolve() }
  }
}

/** Enrollment spec §1. */
async function createTokenDevice({ token }: Belongings): Promise<Device> {
  const { privateKey, publicKey } = createKeyPair('P-256')
  const csr = encodeBase64url(
    await createCsr({
      spki: spkiOf(publicKey),
      sign: (data) => Promise.resolve(new Uint8Array(sign('sha256', data, privateKey))),
    }),
  )
  return {
    async enroll(visit) {
      await visit.ask('joinToken', { csr }, token)
    },
  }
}

/** Enrollment spec §2. What remains is to certify the key for the connection, and to open the credential. */
async function createTpmDevice(name: string, { token, ekAuthority, folder }: Belongings): Promise<Device> {
  const tpm = await openSoftwareTpm({ folder: join(folder, name), ekAuthority, now: Date.now })
  const ek = await tpm.endorsementKey('ecc-p256')
  const ak = await tpm.attestationKey()
  const key = await tpm.loadSigningKey(await tpm.createSigningKey())
  const spki = toSpki(decodePublic(key.public))
  const csr = await createCsr({ spki, sign: (data) => tpm.sign(key, createHash('sha256').update(data).digest()) })
  const known = {
    ...{ profile, token, binding: 'exporter' },
    ekCertificates: ek.certificates.map(encodeBase64url),
    ekPublic: encodeBase64url(ek.public),
    akPublic: encodeBase64url(ak.public),
    keyPublic: encodeBase64url(key.public),
    csr: encodeBase64url(csr),
  }
  return {
    async enroll(visit) {
      const channel = visit.channelBinding
      const certify = await tpm.certify(
        key,
        ak,
        qualifyingData({ binding: 'exporter', channel, trustDomain, spki, profile }),
      )
      const asked = await visit.ask('joinTpm', { ...known, certify: encodeAttestation(certify) })
      const challenge = decodeTpmChallenge(asked, '')
      const secret = encodeBase64url(await tpm.activateCredential(ak, ek, challenge))
      await visit.ask('joinTpmActivate', { cookie: challenge.cookie, secret })
    },
  }
}

function encodeAttestation({ attest, signature }: SignedAttestation) {
  return { attest: encodeBase64url(attest), signature: encodeBase64url(signature) }
}
