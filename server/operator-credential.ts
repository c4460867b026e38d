import { createPrivateKey, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import type { Fingerprint, OperatorName } from '#protocol'
import type { CertificateAuthority } from '#ca'
import { fingerprintOf } from '#x509'
import { localAdmin } from './local-admin.js'
import { makeFolder, readIfThere, writeDurably } from './files.js'

export interface OperatorCredentialOptions {
  /** Where the `touchmark` command looks for `operator.crt`, `operator.key` and `ca.crt`. */
  readonly folder: string
  readonly ca: Pick<CertificateAuthority, 'root' | 'issueOperator'>
  readonly admitOperator: (fingerprint: Fingerprint) => OperatorName | undefined
  readonly now: () => number
}

const renewBeforeMilliseconds = 10 * 86_400_000

/**
 * The credential of whoever runs the service on this machine; made at the first run, and anew when it is damaged or
 * soon over. Whoever can read the data folder holds the CA's keys anyway.
 */
export async function ensureOperatorCredential(options: OperatorCredentialOptions): Promise<void> {
  const { folder, ca } = options
  await makeFolder(folder)
  await writeDurably(join(folder, 'ca.crt'), ca.root.pem)
  if (await isUsable(options)) return
  const { privateKeyPem, certificatePem } = await ca.issueOperator(localAdmin)
  await writeDurably(join(folder, 'operator.key'), privateKeyPem)
  await writeDurably(join(folder, 'operator.crt'), certificatePem)
}

async function isUsable({ folder, admitOperator, now }: OperatorCredentialOptions): Promise<boolean> {
  const certificatePem = await readIfThere(join(folder, 'operator.crt'))
  const keyPem = await readIfThere(join(folder, 'operator.key'))
  if (certificatePem === undefined || keyPem === undefined) return false
  try {
    const certificate = new X509Certificate(certificatePem)
    const belongs = certificate.checkPrivateKey(createPrivateKey(keyPem))
    const lasts = Date.parse(certificate.validTo) > now() + renewBeforeMilliseconds
    return belongs && lasts && admitOperator(fingerprintOf(certificate.raw)) !== undefined
  } catch {
    return false // damaged: a new one mends it
  }
}
