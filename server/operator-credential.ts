import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import type { CertificateSerial, Fingerprint, OperatorName } from '#protocol'
import type { CertificateAuthority } from '#ca'
import { createKeyPair, fingerprintOf, isInLastThird, readSerial, spkiOf, type Validity, validityOf } from '#x509'
import { makeFolder, readIfThere, writeDurably } from './files.js'
import { localAdmin } from './local-admin.js'

export interface OperatorCredentialOptions {
  /** Where the `touchmark` command looks for `operator.crt`, `operator.key` and `ca.crt`. */
  readonly folder: string
  readonly ca: Pick<CertificateAuthority, 'root' | 'issueOperator'>
  readonly admitOperator: (fingerprint: Fingerprint) => OperatorName | undefined
  readonly now: () => number
}

/** Its folder is looked at every hour; so it can be renewed eight times before it ends. */
const ttlSeconds = 24 * 3600

/**
 * The credential of whoever runs the service on this machine: made at the first run, renewed in the last third of its
 * life, and made anew when it is damaged or was revoked. Whoever can read the data folder holds the CA's keys anyway.
 */
export async function ensureOperatorCredential(options: OperatorCredentialOptions): Promise<void> {
  const { folder, ca, now } = options
  await makeFolder(folder)
  await writeDurably(join(folder, 'ca.crt'), ca.root.pem)
  const present = await readUsable(options)
  if (present !== undefined && !isInLastThird(present.validity, now())) return
  // A key that is good is kept, so that the command may renew its certificate at the same time.
  const privateKey = present?.privateKey ?? createKeyPair('P-256').privateKey
  const spki = spkiOf(createPublicKey(privateKey))
  const facts = present && { presentedSerial: present.serial } // revoked meanwhile, its key gets no other
  const { certificatePem } = await ca.issueOperator(localAdmin, { spki, ttlSeconds, ...(facts && { facts }) })
  if (present === undefined) {
    await writeDurably(join(folder, 'operator.key'), privateKey.export({ format: 'pem', type: 'pkcs8' }).toString())
  }
  await writeDurably(join(folder, 'operator.crt'), certificatePem)
}

interface Usable {
  readonly privateKey: KeyObject
  readonly serial: CertificateSerial
  readonly validity: Validity
}

async function readUsable({ folder, admitOperator }: OperatorCredentialOptions): Promise<Usable | undefined> {
  const certificatePem = await readIfThere(join(folder, 'operator.crt'))
  const keyPem = await readIfThere(join(folder, 'operator.key'))
  if (certificatePem === undefined || keyPem === undefined) return undefined
  try {
    const certificate = new X509Certificate(certificatePem)
    const privateKey = createPrivateKey(keyPem)
    const isGood =
      certificate.checkPrivateKey(privateKey) && admitOperator(fingerprintOf(certificate.raw)) === localAdmin
    return isGood ? { privateKey, serial: readSerial(certificate.raw), validity: validityOf(certificate) } : undefined
  } catch {
    return undefined // damaged: a new one mends it
  }
}
