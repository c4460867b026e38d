import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { verifyLog } from '#audit'
import { parseDeviceId } from '#protocol'
import type { ConnectWriter } from '../../../audit/writing/writer-link.js'
import type { FromWriter } from '../../../audit/writing/writer-service.js'
import { device, published } from '../world.js'
import { createPayloadWorld, dayMilliseconds, said, today } from './world.js'

const other = parseDeviceId('sensor-8')
const start = 1_700_000_000_000

test('payloads are kept as they were said, of every size, and lie nowhere in clear', async (context) => {
  const world = await createPayloadWorld(context)
  const log = await world.openWith({ mode: 'store' })
  const texts = ['', '21.5', 'a sentence that would be found', 'x'.repeat(262_144), 'é\0\n'.repeat(500)]
  for (const text of texts) for (const by of [device, other]) log.append(...said(text, by))
  await log.whenDurable(log.size - 1)
  const archive = world.archiveOf(log)
  for (const [index, text] of texts.entries()) {
    for (const sequence of [2 * index, 2 * index + 1]) assert.equal((await archive.read(sequence)).toString(), text)
  }
  await log.close()
  assert.ok(!(await world.holds(Buffer.from('a sentence that would be found'))))
  assert.ok((await verifyLog(world.directory, log.verifierKey)).ok)
})

test('what was refused is committed to and not kept: to be refused costs a device nothing', async (context) => {
  const world = await createPayloadWorld(context)
  const log = await world.openWith({ mode: 'store' })
  const [event, payload] = said('refused')
  log.append({ ...event, decision: 'deny', reason: 'no_rule' }, payload)
  await log.whenDurable(log.append(...said('allowed')))
  await assert.rejects(world.archiveOf(log).read(0), { code: 'PAYLOAD_UNKNOWN' })
  assert.ok((await world.archiveOf(log).disclose(0)).blinding)
  assert.equal((await world.archiveOf(log).read(1)).toString(), 'allowed')
})

test('payloads stay readable over restarts, and while the setting changes', async (context) => {
  const world = await createPayloadWorld(context)
  for (const mode of ['store', 'commit', 'store', 'none', 'store'] as const) {
    const log = await world.openWith({ mode })
    await log.whenDurable(log.append(...said(`said with ${mode}`)))
    await log.close()
  }
  const log = await world.openWith({ mode: 'none' })
  const archive = world.archiveOf(log)
  for (const sequence of [0, 2, 4]) assert.equal((await archive.read(sequence)).toString(), 'said with store')
  for (const sequence of [1, 3]) await assert.rejects(archive.read(sequence), { code: 'PAYLOAD_UNKNOWN' })
})

test('a stored file that was changed, cut, swapped or made up never gives another payload', async (context) => {
  const world = await createPayloadWorld(context)
  const log = await world.openWith({ mode: 'store' })
  for (const text of ['one', 'two']) log.append(...said(text))
  await log.whenDurable(log.append(...said('one', other)))
  const archive = world.archiveOf(log)
  const path = join(world.directory, 'payload', today, '0000000000000000.seg')
  const intact = await readFile(path)
  const each = intact.length / 3
  const [one = Buffer.alloc(0), two = Buffer.alloc(0), three = Buffer.alloc(0)] = [0, 1, 2].map((at) =>
    intact.subarray(at * each, (at + 1) * each),
  )
  const body = (bytes: Buffer) => bytes.subarray(24)
  const attempts = [
    Buffer.concat([two, one]),
    Buffer.concat([one.subarray(0, 24), body(two), two.subarray(0, 24), body(one)]),
    Buffer.concat([one.subarray(0, 24), body(three), two]),
    Buffer.concat([one.subarray(0, 8), two.subarray(8), two]),
    Buffer.alloc(intact.length),
    Buffer.alloc(intact.length, 0xff),
    Buffer.alloc(0),
    ...[...Array(each).keys()].map((length) => intact.subarray(0, length)),
    ...[...Array(each).keys()].map((at) => {
      const bytes = Buffer.from(intact)
      bytes.writeUInt8((bytes[at] ?? 0) ^ 0x81, at)
      return bytes
    }),
  ]
  for (const [index, bytes] of attempts.entries()) {
    await writeFile(path, bytes)
    await assert.rejects(
      archive.read(0),
      (error) => {
        const code = error instanceof Error && 'code' in error && error.code
        return code === 'AUDIT_CORRUPT' || code === 'PAYLOAD_UNKNOWN'
      },
      `attempt ${index}`,
    )
  }
  await writeFile(path, intact)
  assert.equal((await archive.read(0)).toString(), 'one')
})

test('a payload of a record that a crash took away is never taken for that of its successor', async (context) => {
  const world = await createPayloadWorld(context)
  const log = await world.openWith({ mode: 'store' })
  await log.whenDurable(log.append(...said('one')))
  await log.close()
  const path = join(world.directory, 'payload', today, '0000000000000000.seg')
  // As if a payload for record 1 had been written, and the power had gone before the record was.
  const lost = Buffer.from(await readFile(path))
  lost.writeBigUInt64BE(1n)
  await writeFile(path, Buffer.concat([await readFile(path), lost]))
  const again = await world.openWith({ mode: 'commit' })
  const [event, payload] = said('two')
  await again.whenDurable(again.append({ ...event, session: 'a'.repeat(20) }, payload)) // those before have ended
  await assert.rejects(world.archiveOf(again).read(1), { code: 'PAYLOAD_UNKNOWN' })
  assert.equal((await world.archiveOf(again).read(0)).toString(), 'one')
})

test('payloads go when they are too old, and the oldest go early where they take too much', async (context) => {
  const world = await createPayloadWorld(context)
  let now = start
  const log = await world.openWith({ mode: 'store', days: 3, maxBytes: 40_000 }, { now: () => now })
  const large = 'x'.repeat(9000)
  for (let day = 0; day < 5; day++) {
    now = start + day * dayMilliseconds
    await log.whenDurable(log.append(...said(`day ${day}`)))
  }
  const archive = world.archiveOf(log)
  for (const sequence of [0, 1]) await assert.rejects(archive.read(sequence), { code: 'PAYLOAD_UNKNOWN' })
  for (const sequence of [2, 3, 4]) assert.equal((await archive.read(sequence)).toString(), `day ${sequence}`)
  assert.ok((await archive.disclose(0)).blinding, 'what was said can be proved for longer than it is kept')

  for (let index = 0; index < 20; index++) await log.whenDurable(log.append(...said(large)))
  assert.ok((await storedBytes(world.directory)) <= 40_000)
  await assert.rejects(archive.read(2), { code: 'PAYLOAD_UNKNOWN' })
  assert.equal((await archive.read(log.size - 1)).toString(), large)
})

test('many payloads in many batches are each found again', async (context) => {
  const world = await createPayloadWorld(context)
  const log = await world.openWith({ mode: 'store', maxBytes: 1_000_000 })
  for (let index = 0; index < 3000; index++) {
    log.append(...said(`payload ${index} ${'y'.repeat(index % 200)}`))
    if (index % 100 === 99) await log.whenDurable(index)
  }
  const archive = world.archiveOf(log)
  for (let index = 0; index < 3000; index += 113) {
    assert.equal((await archive.read(index)).toString(), `payload ${index} ${'y'.repeat(index % 200)}`)
  }
})

test('waiting payloads count for the back-pressure that sources feel', async (context) => {
  let answer: (message: FromWriter) => void = () => undefined
  context.after(() => answer({ kind: 'failed', code: 'AUDIT_FAILED', message: 'EIO' })) // before the world waits for it
  const world = await createPayloadWorld(context)
  const connectWriter: ConnectWriter = (_options, receive) => {
    answer = receive
    queueMicrotask(() => receive({ kind: 'opened', opened: { size: 0, checkpoint: '' } }))
    return { send: () => undefined }
  }
  const log = await world.openWith({}, { connectWriter })
  const payload = Buffer.alloc(256 * 1024)
  for (let index = 0; index < 33; index++) log.append(published(index), payload)
  assert.ok(log.congested)
  assert.throws(
    () => {
      for (;;) log.append(published(0), payload)
    },
    { code: 'AUDIT_FULL' },
  )
  assert.ok(log.size <= 64 * 4)
})

async function storedBytes(directory: string): Promise<number> {
  const folder = join(directory, 'payload')
  const names = await readdir(folder, { recursive: true })
  const files = names
    .filter((name) => name.endsWith('.seg'))
    .map(async (name) => (await readFile(join(folder, name))).length)
  return (await Promise.all(files)).reduce((sum, bytes) => sum + bytes, 0)
}
