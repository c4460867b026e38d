import { readFileSync } from 'node:fs'
import type { EkMaker } from '#enrollment'
import { decodePem, readAuthority, X509Error } from '#x509'
import { ServerError } from './errors.js'

/**
 * The manufacturers that an operator adds, or has in a version of their own, as PEM files that hold certificates of both
 * kinds: what signs itself is a root and trusted, all else only helps to find the way to one. Nothing is forgiven them.
 * @throws ServerError CONFIG_INVALID
 */
export function readEkAuthorities(files: readonly string[]): EkMaker {
  const certificates = files.flatMap(readCertificates)
  const roots = certificates.filter(({ isSelfIssued }) => isSelfIssued)
  if (files.length > 0 && roots.length === 0) {
    const problem = `${files.join(', ')}: expected at least one self-signed root of a TPM manufacturer, got only intermediate certificates`
    throw new ServerError('CONFIG_INVALID', problem)
  }
  const intermediates = certificates.filter(({ isSelfIssued }) => !isSelfIssued)
  return { id: 'ekRoots', roots: roots.map(({ der }) => der), intermediates: intermediates.map(({ der }) => der) }
}

interface ReadCertificate {
  readonly der: Uint8Array
  readonly isSelfIssued: boolean
}

function readCertificates(path: string): readonly ReadCertificate[] {
  const text = readPem(path)
  try {
    const certificates = decodePem(text, 'CERTIFICATE').map((der) => ({ der, ...readAuthority(der) }))
    if (certificates.length > 0) return certificates
  } catch (cause) {
    if (!(cause instanceof X509Error)) throw cause
    const problem = `${path}: holds a certificate that no TPM can be led to: ${cause.message} [${cause.code}]`
    throw new ServerError('CONFIG_INVALID', problem, { cause })
  }
  throw new ServerError('CONFIG_INVALID', `${path}: expected PEM certificates, found none`)
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new ServerError('CONFIG_INVALID', `cannot read ${path}, which is to hold manufacturers' certificates`, {
      cause,
    })
  }
}
