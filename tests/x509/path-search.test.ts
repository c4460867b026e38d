import assert from 'node:assert/strict'
import { createPublicKey, randomBytes } from 'node:crypto'
import test from 'node:test'
import { createCertificate, createKeyPair, oids, spkiOf, verifyPath, X509Error } from '#x509'
import { decodeCertificate } from '../../x509/certificate.js'
import { pathLimits, PathSearch } from '../../x509/path-search.js'
import { type Authority, type Change, deviceSpec, makeIssuing, makeRoot, now } from './world.js'

/*
 * What certificates can make us do that somebody sends for that very purpose: many, alike, in circles, with huge keys.
 */

const root = await makeRoot()
const crowdSize = 10_000

/** How the search ends, and how many signatures it has looked at. */
function search(
  leaf: Uint8Array,
  intermediates: readonly Uint8Array[],
  anchors: readonly Uint8Array[] = [root.certificate],
) {
  const found = new PathSearch({ intermediates, anchors }, { at: now, purpose: 'device' })
  try {
    const path = found.extend([decodeCertificate(leaf)])
    return { code: 'FOUND', length: path.length, signatureChecks: found.signatureChecks }
  } catch (error) {
    assert.ok(error instanceof X509Error)
    return { code: error.code, signatureChecks: found.signatureChecks }
  }
}

const device = (issuer: Authority, change: Change = {}) => createCertificate(deviceSpec('pump-7', change), issuer)
const named = (value: string) => [{ type: oids.commonName, value }]

test('a key of 16,384 bits is refused before any signature is looked at, wherever on the path it is', async () => {
  const huge = hugeRsaKey()
  const leaf = await device(root, { spki: huge })
  const request = { leaf, intermediates: [], anchors: [root.certificate], at: now, purpose: 'ek' } as const
  assert.throws(() => verifyPath(request), { code: 'KEY_UNSUPPORTED' })

  const between = { ...(await makeIssuing(root, { spki: huge })), privateKey: createKeyPair('P-256').privateKey }
  assert.deepEqual(search(await device(between), [between.certificate]), {
    code: 'KEY_UNSUPPORTED',
    signatureChecks: 0,
  })
  const above = await makeRoot({ spki: huge })
  assert.deepEqual(search(await device(above), [], [above.certificate]), {
    code: 'KEY_UNSUPPORTED',
    signatureChecks: 0,
  })
})

test('issuers that sign each other in a circle lead nowhere, and cost no signature', async () => {
  for (const size of [1, 2, 3, 4]) {
    const { leaf, circle } = await makeCircle(size)
    assert.deepEqual(search(leaf, circle), { code: 'ISSUER_UNKNOWN', signatureChecks: 0 }, `${size}`)
  }
})

test('a way out of a circle is found', async () => {
  const { leaf, circle, first } = await makeCircle(3)
  const crossSigned = await makeIssuing(root, { subject: named('circle 0'), spki: first, authority: {} })
  const direct = search(leaf, [crossSigned.certificate, ...circle])
  assert.deepEqual(direct, { code: 'FOUND', length: 3, signatureChecks: 2 })
  assert.equal(search(leaf, [...circle, crossSigned.certificate]).code, 'FOUND') // once around, and out
})

test('of authorities that have certified each other, the one that a trusted root knows is found', async () => {
  const roots = await Promise.all(['one', 'two', 'three'].map((name) => makeRoot({ subject: named(name) })))
  const [first = assert.fail()] = roots
  const issuing = await makeIssuing(first)
  const crossed = await Promise.all(
    roots.flatMap((by) =>
      roots
        .filter((of) => of !== by)
        .map((of) => makeIssuing(by, { subject: subjectOf(of, roots), spki: spkiIn(of), authority: {} })),
    ),
  )
  const intermediates = [issuing, ...crossed].map(({ certificate }) => certificate)
  const leaf = await device(issuing)
  for (const trusted of roots) {
    const { code, signatureChecks } = search(leaf, intermediates, [trusted.certificate])
    assert.equal(code, 'FOUND')
    assert.ok(signatureChecks <= pathLimits.maxSignatureChecks)
  }
  const stranger = await makeRoot({ subject: named('four') })
  assert.equal(search(leaf, intermediates, [stranger.certificate]).signatureChecks, 0)
})

test('ten thousand candidates of one name and key end at the limit, whoever signed them', async () => {
  const issuing = await makeIssuing(root)
  const leaf = await device(issuing)
  const { code, signatureChecks } = search(leaf, crowdLike(issuing.certificate))
  assert.equal(code, 'PATH_LIMIT')
  assert.ok(signatureChecks <= pathLimits.maxSignatureChecks, `${signatureChecks}`)

  const lost = await device(await makeIssuing(await makeRoot()))
  assert.equal(search(lost, crowdLike(issuing.certificate)).signatureChecks, 0)
})

test('ten thousand anchors of one name and key end at the limit as well', async () => {
  const { code, signatureChecks } = search(await device(await makeRoot()), [], crowdLike(root.certificate))
  assert.equal(code, 'ISSUER_UNKNOWN') // of other keys, as their identifiers say
  assert.equal(signatureChecks, 0)
  const impostor = { ...root, privateKey: createKeyPair('P-384').privateKey }
  const forged = search(await device(impostor), [], crowdLike(root.certificate))
  assert.equal(forged.code, 'PATH_LIMIT')
  assert.ok(forged.signatureChecks <= pathLimits.maxSignatureChecks)
})

test('among ten thousand of its name an issuer is found by its key', async () => {
  const [issuing, other] = [await makeIssuing(root), await makeIssuing(root)]
  const crowd = [...crowdLike(other.certificate), issuing.certificate]
  assert.deepEqual(search(await device(issuing), crowd), { code: 'FOUND', length: 3, signatureChecks: 2 })
})

test('a leaf that names itself as its issuer is told from one whose issuer is not known', async () => {
  const pair = createKeyPair('P-256')
  const own = await createCertificate(deviceSpec('pump-7', { spki: spkiOf(pair.publicKey) }), pair)
  const request = { intermediates: [own], anchors: [root.certificate], at: now, purpose: 'device' } as const
  assert.throws(() => verifyPath({ ...request, leaf: own }), { code: 'SELF_SIGNED' })
  const orphan = await device(await makeRoot({ subject: named('nobody') }))
  assert.throws(() => verifyPath({ ...request, leaf: orphan }), { code: 'ISSUER_UNKNOWN' })
})

test('where expired issuers count, they count for what they signed in their time and for nothing later', async () => {
  const over = new Date('2026-02-20T00:00:00Z')
  const old = await makeRoot({ notAfter: over })
  const issuing = await makeIssuing(old, { notAfter: over })
  const during = { notBefore: new Date('2026-02-10T00:00:00Z'), notAfter: new Date('2046-01-01T00:00:00Z') }
  const verify = (leaf: Uint8Array, expiredIssuers: boolean) =>
    verifyPath({
      ...{ leaf, intermediates: [issuing.certificate], anchors: [old.certificate] },
      ...{ at: now, purpose: 'device', expiredIssuers },
    })
  const inTime = await device(issuing, during)
  assert.throws(() => verify(inTime, false), { code: 'EXPIRED' })
  assert.equal(verify(inTime, true).path.length, 3)
  for (const [notBefore, code] of [
    ['2026-02-21T00:00:00Z', 'EXPIRED'],
    ['2026-01-15T00:00:00Z', 'NOT_YET_VALID'],
  ] as const) {
    const leaf = await device(issuing, { ...during, notBefore: new Date(notBefore) })
    assert.throws(() => verify(leaf, true), { code })
  }
  const past = await device(issuing, { ...during, notAfter: new Date('2026-02-25T00:00:00Z') })
  assert.throws(() => verify(past, true), { code: 'EXPIRED' })
})

/** A modulus of that size; nobody needs to know its factors. */
function hugeRsaKey(): Uint8Array {
  const modulus = randomBytes(16_384 / 8)
  modulus[0] = 0x80 | (modulus[0] ?? 0)
  modulus[modulus.length - 1] = 1 | (modulus.at(-1) ?? 0)
  const key = { kty: 'RSA', e: 'AQAB', n: modulus.toString('base64url') }
  return spkiOf(createPublicKey({ key, format: 'jwk' }))
}

/** CAs of which each is certified by the next and the last by the first, and a leaf below the first. */
async function makeCircle(size: number) {
  const pairs = Array.from({ length: size }, () => createKeyPair('P-256'))
  const spkis = pairs.map(({ publicKey }) => spkiOf(publicKey))
  const nameOf = (at: number) => named(`circle ${at % size}`)
  const seeds = await Promise.all(
    spkis.map((spki, at) => makeIssuing(root, { subject: nameOf(at), spki, authority: {} })),
  )
  const authorities = seeds.map(({ certificate }, at) => {
    const { privateKey } = pairs[at] ?? assert.fail()
    return { certificate, privateKey }
  })
  const circle = await Promise.all(
    spkis.map((spki, at) => {
      const issuer = authorities[(at + 1) % size] ?? assert.fail()
      return makeIssuing(issuer, { subject: nameOf(at), spki, authority: {} })
    }),
  )
  const [first = assert.fail()] = spkis
  const leaf = await device(authorities[0] ?? assert.fail())
  return { leaf, circle: circle.map(({ certificate }) => certificate), first }
}

/** Copies of a certificate that differ in their serial number, and so in whether their signature holds. */
function crowdLike(certificate: Uint8Array): readonly Uint8Array[] {
  const { serial } = decodeCertificate(certificate)
  const at = Buffer.from(certificate).indexOf(serial)
  return Array.from({ length: crowdSize }, (_, number) => {
    const copy = Buffer.from(certificate)
    copy.writeUInt32BE(number, at + serial.length - 4)
    return new Uint8Array(copy)
  })
}

function spkiIn({ certificate }: Authority): Uint8Array {
  return decodeCertificate(certificate).spki
}

function subjectOf(authority: Authority, among: readonly Authority[]) {
  return named(['one', 'two', 'three'][among.indexOf(authority)] ?? assert.fail())
}
