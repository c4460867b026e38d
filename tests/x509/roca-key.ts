/** A 2,048-bit number of the faulty library's form: 65537^c modulo the product of the first 126 primes, plus a multiple; base64url. */
export function rocaModulus(): string {
  const primes: bigint[] = []
  for (let n = 2n; primes.length < 126; n++) if (primes.every((prime) => n % prime !== 0n)) primes.push(n)
  const product = primes.reduce((a, b) => a * b)
  let power = 1n
  for (let step = 0; step < 12345; step++) power = (power * 65537n) % product
  const modulus = (1n << 2047n) - ((1n << 2047n) % product) + product + power
  return Buffer.from(modulus.toString(16).padStart(512, '0'), 'hex').toString('base64url')
}
