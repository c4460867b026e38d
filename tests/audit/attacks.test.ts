import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { verifyLog } from '#audit'
import { type AuditEvent, type AuditRecord, parseDeviceId, parseOperatorName } from '#protocol'
import { createFaultyDisk } from './faulty-disk.js'
import { createWorld, inThisThread, published } from './world.js'

/* Attacks on the writing of the log, by the numbers of the list of attacks; 59 and 60 are in failover, room and log-kills. */

test('case 62: topics of control characters, ANSI and 64 KiB stay one field each; the long ones are kept in short', async (context) => {
  const world = await createWorld(context)
  const log = await world.open()
  const hostile = [
    'a\r\nb',
    '\u001b[2J\u001b[31m',
    '\u009b31m',
    '"}\n{"event":"device.revoke"}',
    '\u202egnp',
    '/'.repeat(300),
  ]
  const long = ['x'.repeat(1025), '€'.repeat(21_845), `${'y'.repeat(255)}😀${'z'.repeat(2000)}`]
  const events = [...hostile, ...long].map((topic, index) => published(index, { topic }))
  for (const event of events) log.append(event)
  await log.whenDurable(log.size - 1)
  const records: AuditRecord[] = []
  for await (const record of log.records(0)) records.push(record)
  assert.equal(records.length, events.length)
  for (const [index, { topic }] of events.entries()) {
    const record = records[index]
    const bytes = Buffer.byteLength(topic)
    const digest = createHash('sha256').update(topic).digest('hex')
    const kept = new TextDecoder().decode(Buffer.from(topic).subarray(0, 256), { stream: true }) // whole characters
    const expected = bytes <= 1024 ? topic : `${kept}… [${bytes} bytes, SHA-256 ${digest}]`
    assert.deepEqual(record, {
      ...events[index],
      sequence: index,
      time: 1_700_000_000_000,
      node: 'node-1',
      topic: expected,
    })
  }
  await log.close()
  assert.ok((await verifyLog(world.directory, log.verifierKey)).ok)
})

for (const mode of ['strict', 'relaxed', 'bestEffort'] as const) {
  test(`case 63, ${mode}: a clock that steps back an hour changes times, not the order, and holds nothing up`, async (context) => {
    const world = await createWorld(context)
    let clock = 1_700_000_000_000
    const log = await world.open({ mode, now: () => clock })
    const times: number[] = []
    for (const step of [1, -3_600_000, 1, 7_200_000, -86_400_000, 1]) {
      clock += step
      times.push(clock)
      await log.whenDurable(log.append(published(times.length)))
    }
    const found: AuditRecord[] = []
    for await (const record of log.records(0)) found.push(record)
    assert.deepEqual(
      found.map(({ sequence, time }) => [sequence, time]),
      [...times.entries()],
    )
    await log.close()
    assert.ok((await verifyLog(world.directory, log.verifierKey)).ok)
  })
}

test('case 95: a disk that denials have filled still records a revocation', async (context) => {
  const world = await createWorld(context)
  const disk = createFaultyDisk()
  disk.free = 200_000
  const log = await world.open({ connectWriter: inThisThread(disk) })
  const denied = published(0, { decision: 'deny', reason: 'no_rule', rules: [] })
  const fill = async (): Promise<void> => {
    for (;;) await log.whenDurable(log.append(denied))
  }
  await assert.rejects(fill(), { code: 'AUDIT_FULL' })
  const revoked: AuditEvent = {
    ...{ event: 'device.revoke', device: parseDeviceId('d1'), reason: 'keyCompromise', at: 0, epoch: 1 },
    operator: parseOperatorName('admin'),
  }
  const sequence = log.append(revoked)
  await log.whenDurable(sequence)
  for await (const { event } of log.records(sequence)) assert.equal(event, 'device.revoke')
})

for (const [damage, change] of [
  ['a flipped bit', (bytes: Buffer) => bytes.writeUInt8(bytes.readUInt8(300) ^ 1, 300)],
  ['a sector of zeros', (bytes: Buffer) => bytes.fill(0, 512, 1024)],
  ['nothing but zeros from there on', (bytes: Buffer) => bytes.fill(0, 512)],
] as const) {
  test(`case 100: ${damage} in the write-ahead log below the checkpoint stops the node`, async (context) => {
    const world = await createWorld(context)
    const log = await world.open()
    for (let index = 0; index < 10; index++) log.append(published(index))
    await log.close()
    const [segment = ''] = readdirSync(join(world.directory, 'wal')).filter((name) => name.endsWith('.seg'))
    const path = join(world.directory, 'wal', segment)
    const bytes = readFileSync(path)
    change(bytes)
    writeFileSync(path, bytes)
    await assert.rejects(world.open(), { code: 'AUDIT_CORRUPT' })
  })
}
