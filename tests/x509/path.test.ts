import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import test from 'node:test'
import { createCertificate, createKeyPair, oids, spkiOf, verifyPath } from '#x509'
import { type Authority, type Change, deviceSpec, makeIssuing, makeRoot, now, rsaPair } from './world.js'

const root = await makeRoot()
const issuing = await makeIssuing(root)

function verify(
  leaf: Uint8Array,
  intermediates: readonly Uint8Array[],
  change: { at?: Date; anchors?: Uint8Array[] } = {},
) {
  return verifyPath({ leaf, intermediates, anchors: [root.certificate], at: now, purpose: 'device', ...change })
}

async function device(change: Change = {}, issuer: Authority = issuing): Promise<Uint8Array> {
  return createCertificate(deviceSpec('pump-7', change), issuer)
}

test('finds the path from a device to its root, whatever else lies around', async () => {
  const leaf = await device()
  const other = await makeIssuing(await makeRoot())
  const { path } = verify(leaf, [other.certificate, leaf, Uint8Array.of(1, 2, 3), issuing.certificate])
  assert.deepEqual(path, [leaf, issuing.certificate, root.certificate])
})

test('a CA of another root leads nowhere', async () => {
  const foreign = await makeIssuing(await makeRoot())
  const leaf = await device({}, foreign)
  assert.throws(() => verify(leaf, [foreign.certificate, issuing.certificate]), { code: 'ISSUER_UNKNOWN' })
})

test('a root’s name and key identifier without its key are not enough', async () => {
  const impostor = { privateKey: createKeyPair('P-384').privateKey, certificate: root.certificate }
  const below = await makeIssuing(impostor)
  const leaf = await device({}, below)
  assert.throws(() => verify(leaf, [below.certificate]), { code: 'SIGNATURE_INVALID' })
})

test('no signature is looked at by a key that nobody trusted stands behind', async () => {
  const foreign = await makeIssuing(await makeRoot())
  const forged = await device({}, { ...foreign, privateKey: createKeyPair('P-256').privateKey })
  assert.throws(() => verify(forged, [foreign.certificate]), { code: 'ISSUER_UNKNOWN' })
})

test('a root that comes as an intermediate is not trusted', async () => {
  const foreign = await makeRoot()
  const leaf = await device({}, foreign)
  assert.throws(() => verify(leaf, [foreign.certificate]), { code: 'ISSUER_UNKNOWN' })
})

test('every certificate must be valid at the moment asked for', async () => {
  const leaf = await device()
  const chain = [issuing.certificate]
  assert.throws(() => verify(leaf, chain, { at: new Date('2026-03-03T00:00:00Z') }), { code: 'EXPIRED' })
  assert.throws(() => verify(leaf, chain, { at: new Date('2026-03-01T00:00:00Z') }), { code: 'NOT_YET_VALID' })
  const late = await makeIssuing(root, { notAfter: new Date('2026-02-20T00:00:00Z') })
  const orphan = await device({}, late)
  assert.throws(() => verify(orphan, [late.certificate]), { code: 'EXPIRED' })
  const old = await makeRoot({ notAfter: new Date('2026-02-20T00:00:00Z') })
  const below = await makeIssuing(old)
  const leafOfOld = await device({}, below)
  assert.throws(() => verify(leafOfOld, [below.certificate], { anchors: [old.certificate] }), { code: 'EXPIRED' })
})

test('a leaf cannot issue', async () => {
  const key = createKeyPair('P-256')
  const parent = await device({ spki: spkiOf(key.publicKey) })
  const child = await device({}, { privateKey: key.privateKey, certificate: parent })
  assert.throws(() => verify(child, [parent, issuing.certificate]), { code: 'NOT_A_CA' })
})

test('a CA without keyCertSign cannot issue', async () => {
  const blunt = await makeIssuing(root, { keyUsage: ['cRLSign'] })
  const leaf = await device({}, blunt)
  assert.throws(() => verify(leaf, [blunt.certificate]), { code: 'NOT_A_CA' })
})

test('pathLen 0 leaves no room for a CA in between', async () => {
  const between = await makeIssuing(issuing, { subject: [{ type: oids.commonName, value: 'between' }] })
  const leaf = await device({}, between)
  assert.throws(() => verify(leaf, [between.certificate, issuing.certificate]), { code: 'PATH_LENGTH_EXCEEDED' })
})

test('a CA that is bound to a purpose vouches for no other', async () => {
  const bound = await makeIssuing(root, { extKeyUsage: [oids.serverAuth] })
  const leaf = await device({}, bound)
  assert.throws(() => verify(leaf, [bound.certificate]), { code: 'PURPOSE_MISMATCH' })
})

for (const [what, change, code] of [
  ['for another purpose', { extKeyUsage: [oids.serverAuth] }, 'PURPOSE_MISMATCH'],
  ['without a purpose', { extKeyUsage: [] }, 'PURPOSE_MISMATCH'],
  ['that may not sign', { keyUsage: ['keyAgreement'] }, 'PURPOSE_MISMATCH'],
  ['that is a CA', { authority: {} }, 'PURPOSE_MISMATCH'],
  ['of another trust domain', { subjectAltName: [{ uri: 'spiffe://evil.example/device/d' }] }, 'NAME_NOT_PERMITTED'],
  ['with a URI without host', { subjectAltName: [{ uri: 'urn:fleet.example' }] }, 'NAME_NOT_PERMITTED'],
  [
    'with the host hidden as user',
    { subjectAltName: [{ uri: 'spiffe://fleet.example@evil.example/' }] },
    'NAME_NOT_PERMITTED',
  ],
  [
    'with a critical extension that nobody knows',
    { extensions: [{ oid: '1.2.3.4', critical: true, der: Uint8Array.of(5, 0) }] },
    'CRITICAL_EXTENSION_UNKNOWN',
  ],
] as const satisfies readonly (readonly [string, Change, string])[]) {
  test(`refuses a leaf ${what}`, async () => {
    const leaf = await device(change)
    assert.throws(() => verify(leaf, [issuing.certificate]), { code })
  })
}

test('refuses keys below the floor and above the ceiling', async () => {
  for (const { publicKey } of [rsaPair(1024), rsaPair(4104)]) {
    const leaf = await device({ spki: spkiOf(publicKey) })
    assert.throws(() => verify(leaf, [issuing.certificate]), { code: 'KEY_UNSUPPORTED' })
  }
  const odd = await device({ spki: spkiOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey) })
  assert.throws(() => verify(odd, [issuing.certificate]), { code: 'KEY_UNSUPPORTED' })
})

test('a root on P-521 is good for signatures, a device key on it is not', async () => {
  const pair = generateKeyPairSync('ec', { namedCurve: 'secp521r1' })
  const large = await makeRoot({}, pair)
  const leaf = await device({}, large)
  assert.equal(verify(leaf, [], { anchors: [large.certificate] }).path.length, 2)
  const own = await device({ spki: spkiOf(pair.publicKey) })
  assert.throws(() => verify(own, [issuing.certificate]), { code: 'KEY_UNSUPPORTED' })
})

test('a crowd of intermediates with one name and key ends at the limit, not in a search', async () => {
  const spki = spkiOf(new X509Certificate(issuing.certificate).publicKey)
  const twin = () => makeIssuing({ ...root, privateKey: createKeyPair('P-384').privateKey }, { spki })
  const crowd = await Promise.all(Array.from({ length: 40 }, twin))
  const leaf = await device()
  assert.throws(() => verify(leaf, [...crowd.map(({ certificate }) => certificate), issuing.certificate]), {
    code: 'PATH_LIMIT',
  })
})

test('intermediates that sign each other in a circle end', async () => {
  const [a, b] = [createKeyPair('P-256'), createKeyPair('P-256')]
  const name = (value: string) => [{ type: oids.commonName, value }]
  const seedA = await makeIssuing(root, { subject: name('A'), spki: spkiOf(a.publicKey) })
  const ofB = await makeIssuing(
    { privateKey: a.privateKey, certificate: seedA.certificate },
    { subject: name('B'), spki: spkiOf(b.publicKey), authority: {} },
  )
  const ofA = await makeIssuing(
    { privateKey: b.privateKey, certificate: ofB.certificate },
    { subject: name('A'), spki: spkiOf(a.publicKey), authority: {} },
  )
  const leaf = await device({}, { privateKey: a.privateKey, certificate: ofA.certificate })
  assert.throws(() => verify(leaf, [ofA.certificate, ofB.certificate]), { code: 'ISSUER_UNKNOWN' })
})
