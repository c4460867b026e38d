import { createHash, randomBytes } from 'node:crypto'
import { encodeBase64url, encodeHex, type Fingerprint, parseFingerprint, parseTokenId, type TokenId } from '#protocol'
import type { TokenCredential } from '#registry'
import { EnrollmentError } from './errors.js'

const secretBytes = 32
const idBytes = 8
const format = /^tm1\.([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{43})$/

/** A new join token: the text is shown once, and only the hash of its secret is kept. */
export function createJoinToken(random: (bytes: number) => Uint8Array = randomBytes): {
  readonly id: TokenId
  /** `tm1.<id>.<secret>` */
  readonly token: string
  readonly secretHash: Fingerprint
} {
  const id = parseTokenId(encodeHex(random(idBytes)))
  const secret = encodeBase64url(random(secretBytes))
  return { id, token: `tm1.${id}.${secret}`, secretHash: hashOf(secret) }
}

/**
 * What a bearer presented. The secret is at once replaced by its hash, so that comparing takes the same time for every
 * guess and nothing later can repeat it. @throws EnrollmentError TOKEN_MALFORMED
 */
export function parseJoinToken(text: string): TokenCredential {
  const [, id, secret] = format.exec(text) ?? []
  if (id === undefined || secret === undefined || id === '.' || id === '..') {
    throw new EnrollmentError('TOKEN_MALFORMED', 'a token reads tm1.<id>.<secret>')
  }
  return { id: parseTokenId(id), secretHash: hashOf(secret) }
}

/** Over the text as it travels: its 256 random bits need no slow hash. */
function hashOf(secret: string): Fingerprint {
  return parseFingerprint(createHash('sha256').update(secret).digest('hex'))
}
