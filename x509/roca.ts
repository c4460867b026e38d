import type { KeyObject } from 'node:crypto'

/** The odd primes up to 167: the fewest that the faulty library ever used, so that no key size slips through. */
const primes = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113,
  127, 131, 137, 139, 149, 151, 157, 163, 167,
]

const generator = 65537

/**
 * CVE-2017-15361: the faulty library made primes of the form k·M + (65537^a mod M), M a product of small primes, so the
 * modulus is a power of 65537 modulo every one of them. A sound key passes for one about once in 2^27.
 */
export function hasRocaFingerprint(publicKey: KeyObject): boolean {
  const { n } = publicKey.export({ format: 'jwk' })
  if (typeof n !== 'string') return false
  const modulus = BigInt(`0x${Buffer.from(n, 'base64url').toString('hex')}`)
  return primes.every((prime) => isPowerOfGenerator(Number(modulus % BigInt(prime)), prime))
}

function isPowerOfGenerator(residue: number, prime: number): boolean {
  let power = 1
  do {
    if (power === residue) return true
    power = (power * generator) % prime
  } while (power !== 1)
  return false
}
