import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { verifyLog } from '#audit'
import { type AuditEvent, type AuditRecord, parseDeviceId, parseOperatorName } from '#protocol'
import { createDisk, type Disk, type NewFile } from '../../audit/writing/disk.js'
import { createFaultyDisk } from './faulty-disk.js'
import { requirePrefixes } from './killing.js'
import { createWorld, inThisThread, published } from './world.js'

/* Attacks on the writing of the log, by the numbers of the list of attacks; 59 and 60 are in failover, room and log-kills, 61 in verify and against. */

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
    for (let index = 0; index < 20; index++) log.append(published(index))
    await log.close()
    const [segment = ''] = readdirSync(join(world.directory, 'wal')).filter((name) => name.endsWith('.seg'))
    const path = join(world.directory, 'wal', segment)
    const bytes = readFileSync(path)
    change(bytes)
    writeFileSync(path, bytes)
    await assert.rejects(world.open(), { code: 'AUDIT_CORRUPT' })
  })
}

for (const [moment, leave] of [
  ['is on disk', () => undefined],
  ['has its name', ({ path, bytes }: NewFile) => writeFileSync(`${path}.new`, bytes.subarray(0, bytes.length / 2))],
  ['is shown to anybody', ({ path, bytes }: NewFile) => writeFileSync(path, bytes)],
] as const) {
  test(`case 100: a crash after a checkpoint was signed and before it ${moment} leaves nothing that contradicts it`, async (context) => {
    const world = await createWorld(context)
    const real = createDisk()
    let signed = ''
    let isNext = false
    const disk: Disk = {
      ...real,
      async replaceFile(file) {
        if (!isNext) return await real.replaceFile(file)
        signed = file.bytes.toString()
        leave(file)
        throw new Error('the power is cut')
      },
    }
    const log = await world.open({ connectWriter: inThisThread(disk) })
    await log.prove(log.append(published(0))) // a checkpoint covers it
    const shown = log.checkpoint()
    isNext = true
    const ended = new Promise<void>((resolve) => log.onEnd(resolve))
    for (let index = 1; index < 300; index++) log.append(published(index))
    await ended
    assert.equal(log.checkpoint(), shown)

    const again = await world.open()
    await again.whenDurable(again.append(published(300)))
    await again.close()
    assert.notEqual(signed, shown)
    await requirePrefixes(again, [shown, signed, again.checkpoint()])
    assert.ok((await verifyLog(world.directory, again.verifierKey, { against: [shown, signed] })).ok)
  })
}
