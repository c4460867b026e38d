import { createECDH, type KeyObject } from 'node:crypto'

/** Order of P-256's base point (FIPS 186-5, SP 800-186 §3.2.1.3). */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const scalarBytes = 32

/**
 * ECDSA over a SHA-256 digest (FIPS 186-5 §6.4.1), which node:crypto signs only when it has hashed the data itself.
 * Its arithmetic takes time that depends on the key: right for a simulator, wrong for a key worth stealing.
 */
export function signDigest(
  privateKey: KeyObject,
  digest: Uint8Array,
): { readonly r: Uint8Array; readonly s: Uint8Array } {
  const secret = toNumber(Buffer.from(privateKey.export({ format: 'jwk' }).d ?? '', 'base64url'))
  for (;;) {
    const ephemeral = createECDH('prime256v1')
    const x = ephemeral.generateKeys().subarray(1, 1 + scalarBytes)
    const r = toNumber(x) % order
    const s = (inverse(toNumber(ephemeral.getPrivateKey())) * (toNumber(digest) + r * secret)) % order
    if (r !== 0n && s !== 0n) return { r: toBytes(r), s: toBytes(s) }
  }
}

/** Modulo the order, by the extended Euclidean algorithm. */
function inverse(value: bigint): bigint {
  let [previous, current] = [order, value % order]
  let [previousFactor, factor] = [0n, 1n]
  while (current !== 0n) {
    const quotient = previous / current
    ;[previous, current] = [current, previous - quotient * current]
    ;[previousFactor, factor] = [factor, previousFactor - quotient * factor]
  }
  return previousFactor < 0n ? previousFactor + order : previousFactor
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
}

function toBytes(scalar: bigint): Uint8Array {
  return Uint8Array.from(Buffer.from(scalar.toString(16).padStart(2 * scalarBytes, '0'), 'hex'))
}
