import { X509Error } from './errors.js'

export type PemLabel = 'CERTIFICATE' | 'CERTIFICATE REQUEST' | 'PUBLIC KEY'

/** RFC 7468 §3: 64 characters a line. */
export function encodePem(label: PemLabel, der: Uint8Array): string {
  return `-----BEGIN ${label}-----\n${encodeBase64Lines(der)}-----END ${label}-----\n`
}

/** What stands between the two: base64 in lines of 64 characters, which every decoder takes. */
export function encodeBase64Lines(der: Uint8Array): string {
  const lines = Buffer.from(der)
    .toString('base64')
    .match(/.{1,64}/g)
  return `${lines?.join('\n') ?? ''}\n`
}

/** Every block with this label, in order; text around the blocks is skipped, as RFC 7468 §2 asks. @throws X509Error MALFORMED */
export function decodePem(text: string, label: PemLabel): Uint8Array[] {
  const [, ...blocks] = text.split(`-----BEGIN ${label}-----`)
  return blocks.map((block) => {
    const end = block.indexOf(`-----END ${label}-----`)
    const base64 = block.slice(0, Math.max(end, 0)).replace(/[\r\n\t ]/g, '')
    if (end < 0 || base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) {
      throw new X509Error('MALFORMED', `PEM: a ${label} block that is not base64 or has no end`)
    }
    return new Uint8Array(Buffer.from(base64, 'base64'))
  })
}
