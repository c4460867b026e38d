import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { proveRecord, verifyRecordProof } from '#audit'
import { encodeEntry, maxEntryBytes } from '../../../audit/entries/write-entry.js'
import { encodeTlogProof, maxProofBytes } from '../../../audit/proof/tlog-proof.js'
import { signCheckpoint, verifierKeyOf } from '../../../audit/tree/checkpoint.js'
import { hashLeaf } from '../../../audit/tree/merkle.js'
import { createWriter, origin, published } from '../world.js'

const size = 700

async function createLog(t: TestContext) {
  const log = await createWriter(t)
  log.append(size)
  await log.writer.checkpoint()
  return { ...log, verifierKey: verifierKeyOf(origin, log.signingKey) }
}

test('a proof is a file that shows its record to whoever has the verifier key', async (t) => {
  const { directory, verifierKey } = await createLog(t)
  for (const sequence of [0, 255, 256, 511, 512, 699]) {
    const { record, head } = verifyRecordProof(await proveRecord(directory, sequence), [verifierKey])
    assert.deepEqual(record, { ...published(sequence), sequence, time: 0 })
    assert.deepEqual([head.origin, head.size], [origin, size])
  }
})

test('it is written as C2SP tlog-proof says: the record, its index, the hashes, and the checkpoint as it is', async (t) => {
  const { directory } = await createLog(t)
  const checkpoint = await readFile(join(directory, 'log/checkpoint'), 'utf8')
  const proof = await proveRecord(directory, 300)
  assert.ok(proof.endsWith(`\n\n${checkpoint}`))
  const [first, extra, index, ...hashes] = proof.slice(0, -checkpoint.length - 2).split('\n')
  assert.equal(first, 'c2sp.org/tlog-proof@v1')
  const entry = encodeEntry({ sequence: 300, time: 0 }, published(300))
  assert.equal(extra, `extra ${Buffer.from(entry).toString('base64')}`)
  assert.equal(index, 'index 300')
  for (const hash of hashes) assert.match(hash, /^[A-Za-z0-9+/]{43}=$/)
  assert.equal(hashes.length, 10)
})

test('records are proven while the log grows', async (t) => {
  const { directory, writer, append, verifierKey } = await createLog(t)
  let growing = true
  const proving = (async () => {
    for (let sequence = 0; sequence < 300; sequence++) {
      const { record } = verifyRecordProof(await proveRecord(directory, sequence), [verifierKey])
      assert.equal(record.sequence, sequence)
    }
  })().finally(() => (growing = false))
  while (growing) {
    append(3)
    await writer.checkpoint()
  }
  await proving
})

test('no changed character and no cut passes', async (t) => {
  const { directory, verifierKey } = await createLog(t)
  const proof = await proveRecord(directory, 5)
  for (let at = 0; at < proof.length; at++) {
    const other = proof[at] === 'A' ? 'B' : 'A'
    const changed = proof.slice(0, at) + other + proof.slice(at + 1)
    assert.throws(() => verifyRecordProof(changed, [verifierKey]), { code: 'AUDIT_INVALID' }, changed)
    assert.throws(() => verifyRecordProof(proof.slice(0, at), [verifierKey]), { code: 'AUDIT_INVALID' })
  }
  assert.throws(() => verifyRecordProof(`${proof}\n`, [verifierKey]), { code: 'AUDIT_INVALID' })
})

test('a foreign key accepts nothing; of several keys any will do', async (t) => {
  const { directory, verifierKey } = await createLog(t)
  const proof = await proveRecord(directory, 5)
  const stranger = generateKeyPairSync('ed25519').privateKey
  const foreign = [verifierKeyOf(origin, stranger), verifierKeyOf('touchmark.test/other', stranger)]
  for (const key of foreign) assert.throws(() => verifyRecordProof(proof, [key]), { code: 'AUDIT_INVALID' })
  assert.equal(verifyRecordProof(proof, [...foreign, verifierKey]).record.sequence, 5)
})

test('what is no proof is refused at once, however large', () => {
  const key = verifierKeyOf(origin, generateKeyPairSync('ed25519').privateKey)
  const bad = [
    '',
    'c2sp.org/tlog-proof@v2\n\n',
    'c2sp.org/tlog-proof@v1\nindex 0\n\no\n',
    'c2sp.org/tlog-proof@v1\nextra AA\nindex 0\n\no\n',
    'c2sp.org/tlog-proof@v1\nextra AA==\nindex 00\n\no\n',
    'c2sp.org/tlog-proof@v1\nextra AA==\nindex 9007199254740993\n\no\n',
    'c2sp.org/tlog-proof@v1\nextra AA==\nindex 0\nAAAA\n\no\n',
    `c2sp.org/tlog-proof@v1\nextra AA==\nindex 0\n${`${'A'.repeat(43)}=\n`.repeat(64)}\no\n`,
    `c2sp.org/tlog-proof@v1\nextra ${Buffer.alloc(maxEntryBytes + 1).toString('base64')}\nindex 0\n\no\n`,
    'x'.repeat(maxProofBytes + 1),
  ]
  for (const text of bad) assert.throws(() => verifyRecordProof(text, [key]), { code: 'AUDIT_INVALID' })
})

test('a signed entry that is no record, or says another place, is not shown as one', () => {
  const { privateKey } = generateKeyPairSync('ed25519')
  for (const entry of [encodeEntry({ sequence: 1, time: 0 }, published(0)), Buffer.from('hello')]) {
    const checkpoint = signCheckpoint({ origin, size: 1, root: Buffer.from(hashLeaf(entry), 'latin1') }, privateKey)
    const proof = encodeTlogProof({ entry, index: 0, hashes: [], checkpoint })
    assert.throws(() => verifyRecordProof(proof, [verifierKeyOf(origin, privateKey)]), { code: 'AUDIT_INVALID' })
  }
})

test('what no checkpoint covers cannot be proven yet', async (t) => {
  const { directory, append } = await createLog(t)
  append(5)
  await assert.rejects(proveRecord(directory, size), { code: 'RECORD_UNKNOWN' })
  await assert.rejects(proveRecord(join(directory, 'nowhere'), 0), { code: 'RECORD_UNKNOWN' })
})

test('of a damaged folder no proof is given out', async (t) => {
  const { directory } = await createLog(t)
  const tile = join(directory, 'log/tile/0/000')
  const bytes = await readFile(tile)
  await writeFile(tile, bytes.fill(0, 0, 32))
  await assert.rejects(proveRecord(directory, 1), { code: 'AUDIT_CORRUPT' })
})
