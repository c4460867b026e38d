import { readFileSync } from 'node:fs'
import type { Maker } from '#enrollment'
import { decodePem, readAuthority, X509Error } from '#x509'
import { ServerError } from './errors.js'

/** So many PEM files may hold the certificates of one manufacturer. */
export const maxAuthorityFiles = 256

/**
 * A manufacturer that an operator adds, as PEM files that hold certificates of both kinds: what signs itself is a root and
 * trusted, all else only helps to find the way to one. Nothing is forgiven such a one. `vouchesFor`: as in "a root for TPMs".
 * @throws ServerError CONFIG_INVALID
 */
export function readAuthorities(id: string, files: readonly string[], vouchesFor: string): Maker {
  const certificates = files.flatMap((path) => readCertificates(path, vouchesFor))
  const roots = certificates.filter(({ isSelfIssued }) => isSelfIssued)
  if (files.length > 0 && roots.length === 0) {
    const problem = `${files.join(', ')}: expected at least one self-signed root for ${vouchesFor}, got only intermediate certificates`
    throw new ServerError('CONFIG_INVALID', problem)
  }
  const intermediates = certificates.filter(({ isSelfIssued }) => !isSelfIssued)
  return { id, roots: roots.map(({ der }) => der), intermediates: intermediates.map(({ der }) => der) }
}

interface ReadCertificate {
  readonly der: Uint8Array
  readonly isSelfIssued: boolean
}

function readCertificates(path: string, vouchesFor: string): readonly ReadCertificate[] {
  const text = readPem(path)
  try {
    const certificates = decodePem(text, 'CERTIFICATE').map((der) => ({ der, ...readAuthority(der) }))
    if (certificates.length > 0) return certificates
  } catch (cause) {
    if (!(cause instanceof X509Error)) throw cause
    const problem = `${path}: holds a certificate that does nothing for ${vouchesFor}: ${cause.message} [${cause.code}]`
    throw new ServerError('CONFIG_INVALID', problem, { cause })
  }
  throw new ServerError('CONFIG_INVALID', `${path}: expected PEM certificates, found none`)
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const problem = `cannot read ${path}, which is to hold manufacturers' certificates`
    throw new ServerError('CONFIG_INVALID', problem, { cause })
  }
}
