import assert from 'node:assert/strict'
import { createDecipheriv, createHash, createHmac, hkdfSync } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type AuditLog, verifyLog } from '#audit'
import { type AuditRecord, parseDeviceId } from '#protocol'
import { encodeMessagePlace } from '../../../audit/payload/message-place.js'
import { blindingOf, commitmentOf, DayKey } from '../../../audit/payload/day-key.js'
import { createWorld, device, published, type World } from '../world.js'

const day = '2023-11-14' // of the world's clock

test('the commitment of every message is what node:crypto alone makes of the keys on disk', async (context) => {
  const { world, log, keyFolder } = await openCommitting(context)
  const payloads = ['', '21.5', '21.5', 'é\0\n', 'x'.repeat(262_144)].map((text) => Buffer.from(text))
  for (const [index, payload] of payloads.entries()) log.append(published(index), payload)
  const other = parseDeviceId('d'.repeat(64))
  log.append(published(0, { device: other, messageId: undefined, qos: 0 }), Buffer.from('21.5'))
  await log.whenDurable(log.size - 1)

  const records = await recordsOf(log)
  for (const [index, record] of records.entries()) {
    const payload = payloads[index] ?? Buffer.from('21.5')
    const dayKey = await readDayKey(world.directory, keyFolder, record.device)
    assert.deepEqual(record.payloadCommitment, commitmentByHand(dayKey, record, payload))
    assert.deepEqual(
      commitmentOf(blindingOf(dayKey, encodeMessagePlace(record)), payload),
      Buffer.from(record.payloadCommitment),
    )
  }
  const [, one, same] = records
  assert.notDeepEqual(one?.payloadCommitment, same?.payloadCommitment, 'equal payloads do not look equal')
  await log.close()
  assert.ok((await verifyLog(world.directory, log.verifierKey)).ok)
})

test('a known key, place and payload have the known commitment', () => {
  // Made with: openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt hexkey:… -kdfopt info:commit HKDF; openssl dgst -mac HMAC; sha256sum
  const opening = Buffer.concat([Buffer.alloc(32), Buffer.of(0, 0, 0, 4), Buffer.from('21.5')])
  const place = { sequence: 2 ** 32 + 5, session: '00010203040506070809', sessionIndex: 0x0a0b0c0d0e0f }
  const commitment = new DayKey(Buffer.alloc(32, 7)).commit(opening, encodeMessagePlace(place))
  assert.equal(opening.toString('hex', 0, 32), '2b345f954abf3017ee29ce96ff01e2bd2654a29f95544c5d34f69f93140884e4')
  assert.equal(
    Buffer.from(commitment, 'latin1').toString('hex'),
    '2b52c5ba59cd7c4292989b7a6a3cfacd27390114cf8a5521f0b4fce7244b023e',
  )
})

test('only what a device publishes is committed to, and only where a log is told to', async (context) => {
  const { log } = await openCommitting(context)
  log.append({ event: 'server.start', node: 'n', version: '1', runtime: 'Node.js' }, Buffer.from('nobody said this'))
  log.append(published(0))
  log.append(published(1, { decision: 'deny', reason: 'no_rule', rules: [], count: 3 }), Buffer.from('refused'))
  await log.whenDurable(2)
  const records = []
  for await (const record of log.records(0)) records.push('payloadCommitment' in record)
  assert.deepEqual(records, [false, false, true])

  const silent = await (await createWorld(context)).open()
  silent.append(published(0), Buffer.from('said'))
  await silent.whenDurable(0)
  for await (const record of silent.records(0)) assert.ok(!('payloadCommitment' in record))
})

test('keys of devices are wrapped on disk, and readable for their owner only', async (context) => {
  const { world, log, keyFolder } = await openCommitting(context)
  await log.whenDurable(log.append(published(0), Buffer.from('x')))
  const files = [join(world.directory, 'payload', day, 'keys'), join(keyFolder, `${day}.key`)]
  for (const file of files) assert.equal((await stat(file)).mode & 0o777, 0o600)
  const dayKey = await readDayKey(world.directory, keyFolder, device)
  for (const file of files) assert.ok(!(await readFile(file)).includes(dayKey))
})

test('a device keeps its key over a restart, and has another one on another day', async (context) => {
  const { world, log, keyFolder } = await openCommitting(context)
  await log.whenDurable(log.append(published(0), Buffer.from('x')))
  const before = await readFile(join(world.directory, 'payload', day, 'keys'))
  await log.close()
  let now = 1_700_000_000_000
  const again = await world.open({ payload: { mode: 'commit', keyFolder }, now: () => now })
  await again.whenDurable(again.append(published(1), Buffer.from('x')))
  assert.deepEqual(await readFile(join(world.directory, 'payload', day, 'keys')), before)
  for (const days of [1, 2, 3, 4, -5]) {
    now = 1_700_000_000_000 + days * 86_400_000
    await again.whenDurable(again.append(published(2), Buffer.from('x')))
  }
  const keys = new Set<string>()
  for await (const record of again.records(0)) {
    const key = await readDayKey(world.directory, keyFolder, device, new Date(record.time).toISOString().slice(0, 10))
    keys.add(key.toString('hex'))
    assert.ok('payloadCommitment' in record)
    assert.deepEqual(record.payloadCommitment, commitmentByHand(key, record, Buffer.from('x')))
  }
  assert.equal(keys.size, 6)
})

async function openCommitting(context: TestContext): Promise<{ world: World; log: AuditLog; keyFolder: string }> {
  const world = await createWorld(context)
  const keyFolder = join(world.directory, 'payload-keys')
  return { world, keyFolder, log: await world.open({ payload: { mode: 'commit', keyFolder } }) }
}

type Committing = AuditRecord & { readonly event: 'message.publish' } & Record<'payloadCommitment', Uint8Array>

async function recordsOf(log: AuditLog): Promise<readonly Committing[]> {
  const records: Committing[] = []
  for await (const record of log.records(0)) records.push(record as Committing)
  return records
}

/** Without any code of the product. */
async function readDayKey(directory: string, keyFolder: string, device: string, date = day): Promise<Buffer> {
  const wrappingKey = await readFile(join(keyFolder, `${date}.key`))
  const slots = await readFile(join(directory, 'payload', date, 'keys'))
  const at = slots.indexOf(Buffer.concat([Buffer.of(device.length), Buffer.from(device)]))
  const [head, nonce, wrapped, tag] = [
    [0, 73],
    [73, 85],
    [85, 117],
    [117, 133],
  ].map(([from = 0, to]) => slots.subarray(at + from, at + (to ?? 0)))
  assert.ok(head && nonce && wrapped && tag)
  const opening = createDecipheriv('aes-256-gcm', wrappingKey, nonce)
  opening.setAAD(Buffer.concat([Buffer.from(`touchmark day key ${date}\0`), head])).setAuthTag(tag)
  return Buffer.concat([opening.update(wrapped), opening.final()])
}

function commitmentByHand(
  dayKey: Buffer,
  record: { readonly sequence: number; readonly session: string; readonly sessionIndex: number },
  payload: Buffer,
): Uint8Array {
  const committing = Buffer.from(hkdfSync('sha256', dayKey, '', 'commit', 32))
  const numbers = Buffer.alloc(18)
  numbers.writeBigUInt64BE(BigInt(record.sequence))
  numbers.writeUIntBE(record.sessionIndex, 8, 6)
  numbers.writeUInt32BE(payload.length, 14)
  const blinding = createHmac('sha256', committing)
    .update(numbers.subarray(0, 8))
    .update(record.session, 'hex')
    .update(numbers.subarray(8, 14))
    .digest()
  return Uint8Array.from(createHash('sha256').update(blinding).update(numbers.subarray(14)).update(payload).digest())
}
