import assert from 'node:assert/strict'
import { test } from 'node:test'
import { verifyLog } from '#audit'
import { createDisk, type Disk } from '../../audit/writing/disk.js'
import type { FromWriter } from '../../audit/writing/writer-service.js'
import { createWorld, inThisThread, published } from './world.js'

const operations = ['openSegment', 'append', 'writeFile', 'settleFiles', 'replaceFile', 'removeFile'] as const
type Operation = (typeof operations)[number]

for (const operation of operations) {
  test(`when ${operation} fails the log fails closed and keeps all that it called durable`, async (context) => {
    const world = await createWorld(context)
    const earlier = await world.open()
    earlier.append(published(0))
    await earlier.close()
    const disk = failingDisk()
    const log = await world.open({ connectWriter: inThisThread(disk) })
    const ended = new Promise<void>((resolve) => log.onEnd(resolve))
    await log.whenDurable(log.append(published(1)))
    disk.fail(operation)
    for (let left = 300; left > 0; left--) log.append(large) // enough for a segment and a bundle
    await assert.rejects(log.close(), { code: 'AUDIT_FAILED' })
    await ended
    assert.equal(log.healthy, false)
    assert.throws(() => log.append(published(2)), { code: 'AUDIT_CLOSED' })
    await assert.rejects(log.whenDurable(302), { code: 'AUDIT_FAILED' })
    const { durable } = log

    const again = await world.open()
    assert.ok(again.size > durable)
    await again.close()
    const report = await verifyLog(world.directory, again.verifierKey)
    assert.ok(report.ok, report.firstBad?.what)
  })
}

const large = published(0, { rules: Array.from({ length: 60 }, () => 'r'.repeat(1000)) })

test('a log that cannot be opened says so', async (context) => {
  const world = await createWorld(context)
  const disk = failingDisk()
  disk.fail('replaceFile')
  await assert.rejects(world.open({ connectWriter: inThisThread(disk) }), { code: 'AUDIT_FAILED' })
  await assert.rejects(world.open({ origin: 'two words' }), { code: 'AUDIT_INVALID' })
})

test('sources are told to pause while much waits, and refused when too much does', async (context) => {
  const world = await createWorld(context)
  let answer: (message: FromWriter) => void = () => undefined
  const log = await world.open({
    connectWriter: (_options, receive) => {
      answer = receive
      queueMicrotask(() => receive({ kind: 'opened', opened: { size: 0, checkpoint: '' } }))
      return { send: ({ kind }) => kind === 'close' && receive({ kind: 'closed' }) }
    },
  })
  const heard: boolean[] = []
  log.onCongestion((congested) => heard.push(congested))
  assert.throws(
    () => {
      for (;;) log.append(large)
    },
    { code: 'AUDIT_FULL' },
  )
  assert.deepEqual(heard, [true])
  await Promise.resolve()
  answer({ kind: 'durable', seconds: 0 })
  assert.deepEqual(heard, [true, false])
  assert.equal(log.durable, log.size - 1)
})

/** A real disk, until one of its operations is told to fail: then what it was to write is lost. */
function failingDisk(): Disk & { fail(operation: Operation): void } {
  const disk = createDisk()
  const broken = new Set<Operation>()
  const attempt = (operation: Operation): void => {
    if (broken.has(operation)) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
  }
  return {
    fail: (operation) => void broken.add(operation),
    ...disk,
    openSegment(path) {
      attempt('openSegment')
      const segment = disk.openSegment(path)
      return {
        append(bytes) {
          attempt('append')
          segment.append(bytes)
        },
        close: () => segment.close(),
      }
    },
    writeFile(file) {
      attempt('writeFile')
      disk.writeFile(file)
    },
    async settleFiles(folder, paths) {
      attempt('settleFiles')
      await disk.settleFiles(folder, paths)
    },
    async replaceFile(file) {
      attempt('replaceFile')
      await disk.replaceFile(file)
    },
    async removeFile(path) {
      attempt('removeFile')
      await disk.removeFile(path)
    },
  }
}
