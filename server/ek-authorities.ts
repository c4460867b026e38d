import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ServerError } from './errors.js'

/** Who vouches for the endorsement keys of TPMs. All certificates are DER. */
export interface EkAuthorities {
  /** Trusted by being here. */
  readonly roots: readonly Uint8Array[]
  /** They only help to find the way from an EK certificate to a root. */
  readonly intermediates: readonly Uint8Array[]
}

/** Reads PEM files that hold certificates of both kinds; what signs itself is a root. @throws ServerError CONFIG_INVALID */
export function readEkAuthorities(files: readonly string[]): EkAuthorities {
  const certificates = files.flatMap(readCertificates)
  const roots = certificates.filter(isSelfIssued)
  if (files.length > 0 && roots.length === 0) {
    const problem = `${files.join(', ')}: expected at least one self-signed root of a TPM manufacturer, got only intermediate certificates`
    throw new ServerError('CONFIG_INVALID', problem)
  }
  const intermediates = certificates.filter((certificate) => !isSelfIssued(certificate))
  return { roots: roots.map(({ raw }) => raw), intermediates: intermediates.map(({ raw }) => raw) }
}

function isSelfIssued(certificate: X509Certificate): boolean {
  return certificate.checkIssued(certificate)
}

function readCertificates(path: string): readonly X509Certificate[] {
  const blocks = readPem(path).match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) throw new ServerError('CONFIG_INVALID', `${path}: expected PEM certificates, found none`)
  try {
    return blocks.map((block) => new X509Certificate(block))
  } catch (cause) {
    throw new ServerError('CONFIG_INVALID', `${path}: holds a certificate that cannot be read`, { cause })
  }
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
