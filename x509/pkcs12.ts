import { createCipheriv, createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { contextTag, tags } from './der-reader.js'
import { der, octetString, oid, sequence, setOf, unsignedInteger } from './der-writer.js'
import { X509Error } from './errors.js'
import { oids } from './oids.js'

/** One key with its certificates, for programs that want both in a file under a password. */
export interface Pkcs12Content {
  /** DER, PKCS #8 without encryption. */
  readonly privateKey: Uint8Array
  /** DER; that of the key first, then its issuers. */
  readonly certificates: readonly Uint8Array[]
  /** Under which programs list it. */
  readonly name: string
  /** 1 to 128 printable ASCII characters: others are encoded in two ways here, of which no two programs choose the same. */
  readonly password: string
}

/** Five times what openssl takes. The password has to carry the weight; this only has to end soon on a small device. */
const iterations = 10_000
const saltBytes = 16

/**
 * PFX (RFC 7292 §4) with key and certificates under PBES2 (AES-256-CBC, PBKDF2 with HMAC-SHA256, RFC 8018 §6.2), and an
 * HMAC-SHA256 over both. `random` gives so many bytes that nobody can guess. @throws X509Error KEY_UNSUPPORTED
 */
export function encodePkcs12(content: Pkcs12Content, random: (bytes: number) => Uint8Array): Uint8Array {
  const { password } = content
  if (!/^[ -~]{1,128}$/.test(password)) {
    throw new X509Error('KEY_UNSUPPORTED', 'expected a password of 1 to 128 printable ASCII characters')
  }
  const [leaf = new Uint8Array()] = content.certificates
  const localKeyId = createHash('sha1').update(leaf).digest() // a label that joins key and certificate, as openssl makes it
  const attributes = setOf(
    attribute(oids.friendlyName, bmpString(content.name)),
    attribute(oids.localKeyId, octetString(localKeyId)),
  )
  const certificateBags = content.certificates.map((certificate, at) =>
    bag(oids.certBag, [certBag(certificate)], at === 0 ? [attributes] : []),
  )
  const [algorithm, encryptedKey] = encrypt(content.privateKey, password, random)
  const keyBag = bag(oids.shroudedKeyBag, [sequence(algorithm, octetString(encryptedKey))], [attributes])
  const safe = sequence(encryptedData(sequence(...certificateBags), password, random), data(sequence(keyBag)))
  return sequence(small(3), data(safe), macData(safe, password, random(saltBytes)))
}

function bag(type: string, value: readonly Uint8Array[], attributes: readonly Uint8Array[]): Uint8Array {
  return sequence(oid(type), explicit(...value), ...attributes)
}

function certBag(certificate: Uint8Array): Uint8Array {
  return sequence(oid(oids.x509Certificate), explicit(octetString(certificate)))
}

/** RFC 2985 §5.5 */
function attribute(type: string, value: Uint8Array): Uint8Array {
  return sequence(oid(type), setOf(value))
}

/** RFC 5652 §4 */
function data(content: Uint8Array): Uint8Array {
  return sequence(oid(oids.data), explicit(octetString(content)))
}

/** RFC 5652 §8 */
function encryptedData(content: Uint8Array, password: string, random: (bytes: number) => Uint8Array): Uint8Array {
  const [algorithm, encrypted] = encrypt(content, password, random)
  const info = sequence(oid(oids.data), algorithm, der(contextTag(0, 'primitive'), encrypted))
  return sequence(oid(oids.encryptedData), explicit(sequence(small(0), info)))
}

/** RFC 8018 §6.2 and Appendix A.4 */
function encrypt(
  content: Uint8Array,
  password: string,
  random: (bytes: number) => Uint8Array,
): readonly [algorithm: Uint8Array, encrypted: Uint8Array] {
  const [salt, iv] = [random(saltBytes), random(16)]
  const cipher = createCipheriv('aes-256-cbc', pbkdf2Sync(password, salt, iterations, 32, 'sha256'), iv)
  const prf = sequence(oid(oids.hmacWithSha256), nothing)
  const derivation = sequence(oid(oids.pbkdf2), sequence(octetString(salt), wide(iterations), prf))
  const scheme = sequence(oid(oids.aes256Cbc), octetString(iv))
  const encrypted = Buffer.concat([cipher.update(content), cipher.final()])
  return [sequence(oid(oids.pbes2), sequence(derivation, scheme)), encrypted]
}

/** RFC 7292 §4, MacData: over the content of the safe. */
function macData(safe: Uint8Array, password: string, salt: Uint8Array): Uint8Array {
  const mac = createHmac('sha256', macKey(password, salt)).update(safe).digest()
  const digest = sequence(sequence(oid(oids.sha256), nothing), octetString(mac))
  return sequence(digest, octetString(salt), wide(iterations))
}

/**
 * RFC 7292 Appendix B.2 for a key as long as one SHA-256 digest, so that its first block is the whole of it: the
 * diversifier (3: for a MAC), the salt and the password, each filled up to whole blocks of the hash.
 */
function macKey(password: string, salt: Uint8Array): Uint8Array {
  const block = 64
  const filled = (bytes: Uint8Array): Uint8Array => Buffer.alloc(Math.ceil(bytes.length / block) * block, bytes)
  const written = Buffer.from(`${password}\0`, 'utf16le').swap16() // B.1: a BMPString, with its end
  let digest: Uint8Array = Buffer.concat([Buffer.alloc(block, 3), filled(salt), filled(written)])
  for (let round = 0; round < iterations; round++) digest = createHash('sha256').update(digest).digest()
  return digest
}

function explicit(...content: readonly Uint8Array[]): Uint8Array {
  return der(contextTag(0, 'constructed'), ...content)
}

function bmpString(text: string): Uint8Array {
  return der(tags.bmpString, Buffer.from(text, 'utf16le').swap16())
}

const nothing = der(tags.null)

function small(value: number): Uint8Array {
  return unsignedInteger(Uint8Array.of(value))
}

function wide(value: number): Uint8Array {
  const octets = Buffer.alloc(4)
  octets.writeUInt32BE(value)
  return unsignedInteger(octets)
}
