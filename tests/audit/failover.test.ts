import assert from 'node:assert/strict'
import { cpSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { type AuditLog, type AuditLogOptions, verifyLog } from '#audit'
import { type AuditEvent, type AuditRecord, parseDeviceId, parseOperatorName } from '#protocol'
import { seeded } from '../seeded.js'
import { createFaultyDisk, type FaultyDisk } from './faulty-disk.js'
import { createWorld, inThisThread, published, type World } from './world.js'

const revoked: AuditEvent = {
  ...{ event: 'device.revoke', device: parseDeviceId('d1'), reason: 'keyCompromise', at: 0, epoch: 1 },
  operator: parseOperatorName('admin'),
}
const reserveBytes = 64 * 1024
const plenty = 10 * 1024 * 1024

for (const [what, written] of [
  ['nothing', 0],
  ['a part', 300],
  ['all', Infinity],
] as const) {
  test(`case 59: a batch whose sync fails with ${what} of it written is repeated in a new segment, and read once`, async (context) => {
    const disk = createFaultyDisk((below) => Math.min(written, below - 1))
    const { world, log } = await openOn(context, disk)
    await log.whenDurable(log.append(published(0)))
    disk.failing = 1
    for (let index = 1; index <= 5; index++) log.append(published(index))
    await log.whenDurable(5)
    await log.whenDurable(log.append(published(6)))
    assert.deepEqual([log.failovers, log.healthy, log.size], [1, true, 8])
    assert.deepEqual(segmentsOf(world), ['0000000000000000.seg', '0000000000000001.seg'])
    const records = await recordsOf(log)
    const told = records.find(({ event }) => event === 'log.failover')
    assert.match(
      told?.event === 'log.failover' ? told.comment : '',
      /^0000000000000000.seg: EIO.* 0000000000000001.seg$/,
    )
    assert.deepEqual(indexesOf(records), [0, 1, 2, 3, 4, 5, 6])
    const report = await verifyLog(world.directory, log.verifierKey)
    assert.deepEqual([report.firstBad, report.size + report.uncovered], [undefined, 8])
    await requireAfterCrash(world, log, 8)
  })
}

test('a segment that fails before its first record is followed by one of the next generation', async (context) => {
  const disk = createFaultyDisk((below) => below - 1)
  const { world, log } = await openOn(context, disk)
  for (let round = 0; round < 3; round++) {
    disk.failing = 1
    await log.whenDurable(log.append(published(round)))
  }
  assert.equal(log.failovers, 3)
  assert.deepEqual(segmentsOf(world).slice(0, 2), ['0000000000000000.1.seg', '0000000000000000.seg'])
  await requireAfterCrash(world, log, log.durable + 1)
})

test('when the second segment fails too the log fails closed, and keeps all that it called durable', async (context) => {
  const disk = createFaultyDisk((below) => below >> 1)
  const { world, log } = await openOn(context, disk)
  await log.whenDurable(log.append(published(0)))
  disk.failing = 2
  await assert.rejects(log.whenDurable(log.append(published(1))), { code: 'AUDIT_FAILED' })
  assert.deepEqual([log.healthy, log.durable], [false, 0])
  assert.match(log.problem ?? '', /EIO/)
  await requireAfterCrash(world, log, 1)
})

test('case 59: on a full disk a revocation is recorded out of the reserve; with room again all goes on', async (context) => {
  const disk = createFaultyDisk()
  disk.free = plenty
  const { world, log } = await openOn(context, disk)
  await until(log, () => disk.allocated)
  await log.whenDurable(log.append(published(0)))
  disk.free = 0
  await log.whenDurable(log.append(published(1))) // was taken before anybody knew
  assert.deepEqual([log.room, log.congested], ['full', true])
  assert.throws(() => log.append(published(2)), { code: 'AUDIT_FULL' })
  await log.whenDurable(log.append(revoked))
  const before = log.checkpoint()
  await requireAfterCrash(world, log, log.size)

  disk.free = reserveBytes // for the reserve alone
  await log.whenDurable(log.append(revoked))
  assert.deepEqual([log.room, log.checkpoint()], ['full', before])
  disk.free = plenty
  await until(log, () => log.room === 'reserved' && log.checkpoint() !== before)
  await log.whenDurable(log.append(published(3)))
  assert.ok(segmentsOf(world).length > 1)
  assert.deepEqual(indexesOf(await recordsOf(log)), [0, 1, 3])
  const { size } = log
  await log.close()
  const report = await verifyLog(world.directory, log.verifierKey)
  assert.deepEqual([report.firstBad, report.size, report.uncovered], [undefined, size, 0])
})

test('a disk without room for bundles and checkpoints is full, too: they are written when there is room again', async (context) => {
  const disk = createFaultyDisk()
  disk.free = plenty
  const { world, log } = await openOn(context, disk)
  await until(log, () => disk.allocated)
  for (let index = 0; index < 250; index++) log.append(published(index))
  await log.whenDurable(249)
  disk.onWrite = (path) => void (path.includes('/wal/') && (disk.free = 0)) // the batch has room, its bundle has none
  for (let index = 250; index < 600; index++) log.append(published(index))
  await until(log, () => log.room === 'full')
  disk.onWrite = () => undefined
  disk.free = plenty
  await until(log, () => log.room === 'reserved')
  await log.close()
  const report = await verifyLog(world.directory, log.verifierKey)
  assert.deepEqual([report.firstBad, report.uncovered], [undefined, 0])
  assert.ok(report.size >= 600)
})

test('a start on a full disk is on record out of the reserve; nothing else is taken', async (context) => {
  const disk = createFaultyDisk()
  disk.free = plenty
  const { world, log } = await openOn(context, disk)
  await until(log, () => disk.allocated)
  log.append(published(0))
  await log.close()
  disk.free = 0
  const again = await world.open({ connectWriter: inThisThread(disk) })
  await again.whenDurable(again.append({ event: 'server.start', node: 'n', version: '1', runtime: 'Node.js v20' }))
  await until(again, () => again.room === 'full')
  assert.throws(() => again.append(published(1)), { code: 'AUDIT_FULL' })
  await requireAfterCrash(world, again, again.size)
})

test('after a crash on a full disk the log starts on what is left of the reserve; without any it says that there is no room', async (context) => {
  const disk = createFaultyDisk()
  disk.free = plenty
  const { world, log } = await openOn(context, disk)
  await until(log, () => disk.allocated)
  disk.free = 0
  await log.whenDurable(log.append(revoked))
  const [crashed, cramped] = [`${world.directory}-crashed`, `${world.directory}-cramped`]
  for (const copy of [crashed, cramped]) {
    cpSync(world.directory, copy, { recursive: true })
    context.after(() => rmSync(copy, { recursive: true }))
  }
  for (let start = 0; start < 3; start++) {
    const again = await world.open({ directory: crashed, connectWriter: inThisThread(disk), reserveBytes })
    await again.whenDurable(again.append(revoked))
    await again.close()
  }

  rmSync(join(cramped, 'wal'), { recursive: true })
  rmSync(join(cramped, 'log'), { recursive: true })
  disk.free = 0
  await assert.rejects(world.open({ directory: cramped, connectWriter: inThisThread(disk) }), { code: 'AUDIT_FULL' })
})

test('when the reserve is spent the log fails closed', async (context) => {
  const disk = createFaultyDisk()
  disk.free = plenty
  const { world, log } = await openOn(context, disk)
  await until(log, () => disk.allocated)
  disk.free = 0
  const long = { ...revoked, comment: 'x'.repeat(1000) }
  const spend = async (): Promise<void> => {
    for (;;) await log.whenDurable(log.append(long))
  }
  await assert.rejects(spend(), { code: 'AUDIT_FAILED' })
  assert.ok(log.durable > 30, `${log.durable} records`)
  disk.free = plenty
  await requireAfterCrash(world, log, log.durable + 1)
})

test('a writer that fails is done with the log’s files before anybody hears of it, who might open it again', async (context) => {
  const disk = createFaultyDisk()
  const { log } = await openOn(context, disk)
  const { replaceFile } = disk
  const order: string[] = []
  let finish = (): void => undefined
  const finishing = new Promise<void>((resolve) => (finish = resolve))
  const atCheckpoint = new Promise<void>((resolve) => {
    disk.replaceFile = async (file) => {
      resolve()
      await finishing
      await replaceFile(file)
      order.push('checkpoint')
    }
  })
  await log.whenDurable(log.append(published(0)))
  await atCheckpoint
  disk.failing = 2
  const failing = assert.rejects(log.whenDurable(log.append(published(1))), { code: 'AUDIT_FAILED' })
  const failed = failing.then(() => order.push('failed'))
  while (disk.failing > 0) await setImmediate()
  for (let turn = 0; turn < 10; turn++) await setImmediate()
  finish()
  await failed
  assert.deepEqual(order, ['checkpoint', 'failed'])
})

test('whatever a disk does at random, nothing that was called durable is ever lost', async (context) => {
  const random = seeded(59)
  const world = await createWorld(context)
  const durable = new Map<number, number>()
  let index = 0
  for (let round = 0; round < 12 || durable.size < 300; round++) {
    const disk = createFaultyDisk(random)
    const log = await world.open({ connectWriter: inThisThread(disk) })
    for (let step = 0; step < 60 && log.healthy; step++) {
      disk.failing = [0, 0, 0, 1, 1, 2][random(6)] ?? 0
      disk.free = random(4) === 0 ? random(50_000) : plenty
      const appended = Array.from({ length: 1 + random(30) }, () =>
        attempt(() => [log.append(published(index)), index++]),
      )
      for (const [sequence, written] of appended) {
        const isDurable = await log.whenDurable(sequence ?? -1).then(
          () => true,
          () => false,
        )
        if (isDurable && sequence !== undefined && written !== undefined) durable.set(sequence, written)
      }
    }
    await log.close().catch(() => undefined)
  }
  const log = await world.open()
  const lost = new Map(durable)
  for (const record of await recordsOf(log)) {
    if (record.event === 'message.publish' && durable.get(record.sequence) === record.sessionIndex)
      lost.delete(record.sequence)
  }
  assert.deepEqual([...lost], [])
  await log.close()
  const report = await verifyLog(world.directory, log.verifierKey)
  assert.deepEqual([report.firstBad, report.size], [undefined, log.size])
})

async function openOn(context: TestContext, disk: FaultyDisk, options: Partial<AuditLogOptions> = {}) {
  const world = await createWorld(context)
  const log = await world.open({ connectWriter: inThisThread(disk), reserveBytes, ...options })
  return { world, log }
}

/** What a process that is killed now leaves is a whole log of at least so many records. */
async function requireAfterCrash(world: World, { verifierKey }: AuditLog, leastSize: number): Promise<void> {
  const directory = `${world.directory}-after-crash`
  cpSync(world.directory, directory, { recursive: true })
  const again = await world.open({ directory })
  assert.ok(again.size >= leastSize, `${again.size} of ${leastSize} records`)
  await again.close()
  const report = await verifyLog(directory, verifierKey)
  assert.deepEqual([report.firstBad, report.size], [undefined, again.size])
  rmSync(directory, { recursive: true })
}

async function recordsOf(log: AuditLog): Promise<readonly AuditRecord[]> {
  const records: AuditRecord[] = []
  for await (const record of log.records(0)) {
    assert.equal(record.sequence, records.length)
    records.push(record)
  }
  return records
}

function indexesOf(records: readonly AuditRecord[]): readonly number[] {
  return records.flatMap((record) => (record.event === 'message.publish' ? record.sessionIndex : []))
}

function segmentsOf({ directory }: World): readonly string[] {
  return readdirSync(join(directory, 'wal'))
    .filter((name) => name.endsWith('.seg'))
    .sort()
}

function attempt<T>(action: () => T): T | readonly [] {
  try {
    return action()
  } catch {
    return []
  }
}

/** Looks again in every turn. */
async function until(log: AuditLog, holds: () => boolean): Promise<void> {
  while (!holds()) {
    assert.ok(log.healthy, log.problem)
    await setImmediate()
  }
}
