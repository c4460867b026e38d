import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { proveRecord, verifyLog, verifyRecordProof } from '#audit'
import { verifierKeyOf, verifyCheckpoint } from '../../audit/tree/checkpoint.js'
import { appendMany, createWorld, origin } from './world.js'

const next = generateKeyPairSync('ed25519').privateKey
const stranger = generateKeyPairSync('ed25519').privateKey
const vkey = (key: KeyObject) => verifierKeyOf(origin, key)

test('while the key changes checkpoints carry both signatures, and either verifier key will do', async (t) => {
  const { open, directory, signingKey } = await createWorld(t)
  const log = await open()
  await appendMany(log, 300)
  log.signWith({ signingKey: next, previousKey: signingKey })
  assert.deepEqual(log.verifierKeys, [vkey(next), vkey(signingKey)])
  await appendMany(log, 5)
  await log.close()
  assert.equal(log.checkpoint().match(/^— /gm)?.length, 2)
  for (const key of [next, signingKey]) {
    assert.ok(log.isSignedBy(vkey(key)))
    assert.ok((await verifyLog(directory, vkey(key))).ok)
    assert.equal(verifyRecordProof(await proveRecord(directory, 302), [vkey(key)]).record.sequence, 302)
  }
  assert.ok((await verifyLog(directory, [vkey(stranger), vkey(next)])).ok)
  assert.equal((await verifyLog(directory, vkey(stranger))).ok, false)
})

test('a signature by a known key that does not hold spoils the checkpoint, whatever the other one says', async (t) => {
  const { open, signingKey } = await createWorld(t)
  const log = await open({ signingKey: next, previousKey: signingKey })
  await log.close()
  const lines = log.checkpoint().split('\n')
  const last = lines.at(-2) ?? ''
  const spoilt = log.checkpoint().replace(last, `${last.slice(0, -6)}AAAA${last.slice(-2)}`)
  assert.equal(verifyCheckpoint(spoilt, vkey(next)).origin, origin) // the other one is not known here
  assert.throws(() => verifyCheckpoint(spoilt, vkey(next), vkey(signingKey)), { code: 'AUDIT_INVALID' })
})

test('a start accepts a checkpoint by either key, and by no other', async (t) => {
  const { open, signingKey } = await createWorld(t)
  const log = await open()
  await appendMany(log, 10)
  await log.close()
  await assert.rejects(open({ signingKey: next }), { code: 'AUDIT_CORRUPT' })
  await assert.rejects(open({ signingKey: next, previousKey: stranger }), { code: 'AUDIT_CORRUPT' })
  const changing = await open({ signingKey: next, previousKey: signingKey })
  assert.ok(changing.isSignedBy(vkey(next)) && changing.isSignedBy(vkey(signingKey)))
  changing.signWith({ signingKey: next })
  await appendMany(changing, 1)
  await changing.close()
  assert.ok(!changing.isSignedBy(vkey(signingKey)))
  const changed = await open({ signingKey: next })
  assert.equal(changed.size, 11)
})
