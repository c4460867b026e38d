import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { AuditLog, verifierKeyOf } from '#audit'
import { parseOperatorName } from '#protocol'
import { CheckpointKeys } from '../../server/checkpoint-keys.js'
import { temporaryFolder } from './running.js'

const origin = 'touchmark.test/log'
const by = { operator: parseOperatorName('ada') }
const day = 86_400_000

async function createWorld(t: TestContext) {
  const logs: AuditLog[] = []
  t.after(() => Promise.allSettled(logs.map((log) => log.close()))) // before its folder goes
  const folder = temporaryFolder(t)
  const clock = { now: Date.parse('2026-03-01T12:00:00Z') }
  const now = () => clock.now
  const open = async () => {
    const keys = await CheckpointKeys.open({ folder, origin, now })
    const log = await AuditLog.open({ directory: join(folder, 'log'), origin, now, ...keys.signing })
    logs.push(log)
    return { keys, log }
  }
  return { folder, clock, open }
}

test('a new key signs at once, the one before until its time is over, and the log says both', async (t) => {
  const { folder, clock, open } = await createWorld(t)
  const { keys, log } = await open()
  const first = log.verifierKey
  const { verifierKey, previousVerifierKey, notAfter } = await keys.rotate(log, {}, by)
  assert.deepEqual([previousVerifierKey, notAfter], [first, '2026-03-08T12:00:00.000Z'])
  assert.deepEqual(log.verifierKeys, [verifierKey, first])
  await assert.rejects(keys.rotate(log, {}, by), { code: 'KEY_CHANGING' })
  await keys.retireDue(log)
  assert.deepEqual(log.verifierKeys, [verifierKey, first])
  await log.close()

  clock.now += 7 * day
  const again = await open()
  assert.deepEqual(again.log.verifierKeys, [verifierKey, first])
  await again.keys.retireDue(again.log)
  assert.deepEqual(again.log.verifierKeys, [verifierKey])
  assert.ok(!existsSync(join(folder, 'audit.previous.key')))
  const events: unknown[] = []
  for await (const record of again.log.records(0))
    events.push([record.event, 'verifierKey' in record && record.verifierKey])
  assert.deepEqual(events, [
    ['log.key_rotate', verifierKey],
    ['log.key_retire', first],
  ])
  await again.log.close()
  const last = await open()
  assert.equal(last.log.size, 2)
  assert.deepEqual(last.keys.everKnown, [first, verifierKey])
})

test('who lets the old key go at once may change the key again as soon as the new one has signed', async (t) => {
  const { open } = await createWorld(t)
  const { keys, log } = await open()
  await keys.rotate(log, { days: 0 }, by)
  await log.close()
  const again = await open()
  await again.keys.rotate(again.log, { days: 0 }, by)
  assert.equal(again.keys.everKnown.length, 3)
})

test('a crash between any two steps leaves keys that accept what is on disk', async (t) => {
  const { folder, open } = await createWorld(t)
  const { keys, log } = await open()
  await log.close()
  const [current, previous] = [join(folder, 'audit.key'), join(folder, 'audit.previous.key')]
  const old = await readFile(current, 'utf8')

  await writeFile(previous, `signs until 2026-03-08T12:00:00.000Z\n${old}`) // the first step alone
  const second = await open()
  assert.deepEqual(second.log.verifierKeys, [log.verifierKey])
  await second.log.close()

  const spare = join(folder, 'spare.key')
  await copyFile(current, spare)
  const third = await open()
  await third.keys.rotate(third.log, {}, by)
  await third.log.close()
  const next = await readFile(current)
  await copyFile(spare, current)
  assert.equal((await open()).log.verifierKeys.length, 1) // both files hold one key: nothing has begun
  await writeFile(current, next)
  const last = await CheckpointKeys.open({ folder, origin, now: () => 0 })
  assert.equal(verifierKeyOf(origin, last.signing.signingKey), verifierKeyOf(origin, createPrivateKey(next)))
  assert.ok(last.signing.previousKey)
  assert.notEqual(keys.signing.signingKey, last.signing.signingKey)
})

test('a key that is no longer to be trusted signs nothing any more, and is kept until a checkpoint is there without it', async (t) => {
  const { folder, open } = await createWorld(t)
  const { keys, log } = await open()
  const first = log.verifierKey
  await keys.rotate(log, { days: 0 }, by)
  assert.ok(!log.verifierKeys.includes(first))
  await log.close()
  assert.ok(!log.isSignedBy(first))
  assert.ok(existsSync(join(folder, 'audit.previous.key')))
  const again = await open()
  await again.keys.retireDue(again.log)
  assert.ok(!existsSync(join(folder, 'audit.previous.key')))
})

test('a file that is no key is named', async (t) => {
  const { folder, open } = await createWorld(t)
  await open()
  for (const text of ['', 'signs until monday\n', 'signs until 2026-03-08T12:00:00.000Z\nno key']) {
    await writeFile(join(folder, 'audit.previous.key'), text)
    await assert.rejects(CheckpointKeys.open({ folder, origin, now: () => 0 }), { code: 'FOLDER_UNUSABLE' }, text)
  }
})
