import { createPrivateKey, createPublicKey } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createCertificate, createKeyPair, decodePem, encodePem, type KeyUsage, oids, spkiOf } from '#x509'
import { SimulatorError } from './errors.js'

/** Plays the manufacturer of TPMs: vouches for endorsement keys. To be trusted by whoever made it, and by nobody else. */
export interface EkAuthority {
  /** DER. */
  readonly root: Uint8Array
  /** PEM file of the root, for the service's configuration. */
  readonly rootFile: string
  /** An EK certificate (TCG EK Credential Profile §3.2) for a DER SubjectPublicKeyInfo. */
  issue(spki: Uint8Array): Promise<Uint8Array>
}

export interface EkAuthorityOptions {
  /** Holds the root and its key; a later call finds the same authority. */
  readonly folder: string
  /** Milliseconds since 1970. */
  readonly now: () => number
}

const day = 24 * 60 * 60 * 1000
const lifetime = 3650 * day

export async function createEkAuthority({ folder, now }: EkAuthorityOptions): Promise<EkAuthority> {
  const rootFile = join(folder, 'ek-root.pem')
  const keyFile = join(folder, 'ek-root.key')
  if (!existsSync(rootFile)) await createRoot(rootFile, keyFile, now())
  const [root] = decodePem(await readFile(rootFile, 'utf8'), 'CERTIFICATE')
  if (root === undefined) throw new SimulatorError('STATE_INVALID', `${rootFile} holds no certificate`)
  const privateKey = createPrivateKey(await readFile(keyFile))
  return {
    root,
    rootFile,
    issue: (spki) => {
      const from = now() - day
      return createCertificate(
        {
          subject: [], // who a TPM is stands in the subject alternative name, which is critical therefore (§3.2.9)
          subjectAltName: [{ directory: model }],
          spki,
          notBefore: new Date(from),
          notAfter: new Date(from + lifetime),
          keyUsage: [keyUsageFor(spki)],
          extKeyUsage: [oids.ekCertificate],
        },
        { privateKey, certificate: root },
      )
    },
  }
}

/** §3.2.9: the vendor's id as four ASCII letters in hexadecimal, here TMRK. */
const model = [
  { type: oids.tpmManufacturer, value: 'id:544D524B' },
  { type: oids.tpmModel, value: 'software-tpm' },
  { type: oids.tpmVersion, value: 'id:00000001' },
]

async function createRoot(rootFile: string, keyFile: string, now: number): Promise<void> {
  const { privateKey, publicKey } = createKeyPair('P-384')
  const root = await createCertificate(
    {
      subject: [{ type: oids.commonName, value: 'Touchmark software TPM EK root' }],
      spki: spkiOf(publicKey),
      notBefore: new Date(now - day),
      notAfter: new Date(now + 2 * lifetime),
      authority: { pathLength: 0 },
      keyUsage: ['keyCertSign', 'cRLSign'],
    },
    { privateKey },
  )
  await mkdir(join(rootFile, '..'), { recursive: true })
  await writeFile(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  await writeFile(rootFile, encodePem('CERTIFICATE', root))
}

/** §3.2.12: an EK decrypts the seed, or agrees on it. */
function keyUsageFor(spki: Uint8Array): KeyUsage {
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  return key.asymmetricKeyType === 'rsa' ? 'keyEncipherment' : 'keyAgreement'
}
