import assert from 'node:assert/strict'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseDeviceId } from '#protocol'
import { commitmentOf } from '../../../audit/payload/day-key.js'
import { slotBytes } from '../../../audit/payload/key-slot.js'
import { type ConnectWriter, startWorker } from '../../../audit/writing/writer-link.js'
import { device, published } from '../world.js'
import { createPayloadWorld, said, today, todayNumber } from './world.js'

const other = parseDeviceId('sensor-8')

test('a disclosure opens one message to whoever has its payload, and to nobody else', async (context) => {
  const world = await createPayloadWorld(context)
  const log = await world.openWith({})
  for (const text of ['on', 'off']) log.append(...said(text))
  await log.whenDurable(1)
  const { record, blinding } = await world.archiveOf(log).disclose(0)
  assert.deepEqual(commitmentOf(blinding, Buffer.from('on')), Buffer.from(record.payloadCommitment))
  assert.notDeepEqual(commitmentOf(blinding, Buffer.from('off')), Buffer.from(record.payloadCommitment))
  const second = await world.archiveOf(log).disclose(1)
  assert.notDeepEqual(commitmentOf(blinding, Buffer.from('off')), Buffer.from(second.record.payloadCommitment))
})

test('what commits to nothing, or is not there, is not opened', async (context) => {
  const world = await createPayloadWorld(context)
  const log = await world.openWith({})
  log.append({ event: 'server.stop' })
  log.append(published(0))
  log.append(...said('x'))
  await log.whenDurable(2)
  const archive = world.archiveOf(log)
  for (const sequence of [0, 1, 3]) await assert.rejects(archive.disclose(sequence), { code: 'PAYLOAD_UNKNOWN' })
  await assert.rejects(archive.read(2), { code: 'PAYLOAD_UNKNOWN' }, 'committed to, but not stored')
})

test('a device’s day that was erased is never opened again, and others are', async (context) => {
  const world = await createPayloadWorld(context)
  const log = await world.openWith({ mode: 'store' })
  const archive = world.archiveOf(log)
  log.append(...said('a secret of seven'))
  log.append(...said('a secret of eight', other))
  await log.whenDurable(1)
  const slots = await readFile(join(world.directory, 'payload', today, 'keys'))
  assert.equal((await archive.read(0)).toString(), 'a secret of seven')
  assert.ok(!(await world.holds(Buffer.from('a secret of seven'))), 'not even before')

  assert.equal(await log.erasePayloadKeys({ day: todayNumber, device }), 1)
  await assert.rejects(archive.read(0), { code: 'PAYLOAD_ERASED' })
  await assert.rejects(archive.disclose(0), { code: 'PAYLOAD_ERASED' })
  assert.ok(!(await world.holds(slots.subarray(73, slotBytes))), 'the wrapped key is overwritten')
  assert.ok(await world.holds(slots.subarray(slotBytes + 73)))
  assert.equal((await archive.read(1)).toString(), 'a secret of eight')

  await log.whenDurable(log.append(...said('said after that')))
  assert.equal((await archive.read(2)).toString(), 'said after that', 'with another key')
  await assert.rejects(archive.read(0), { code: 'PAYLOAD_ERASED' })
  await log.close()
  const again = await world.openWith({ mode: 'store' })
  await again.whenDurable(again.append(...said('and after a restart')))
  assert.equal((await world.archiveOf(again).read(3)).toString(), 'and after a restart')
  await assert.rejects(world.archiveOf(again).disclose(0), { code: 'PAYLOAD_ERASED' })
  assert.equal(await again.erasePayloadKeys({ day: todayNumber, device }), 1, 'the one that came after')
  assert.equal(await again.erasePayloadKeys({ day: todayNumber + 1, device }), 0, 'a day on which nothing was said')
})

test('every payload is found, in whatever order one asks, also what came after the last look', async (context) => {
  const world = await createPayloadWorld(context)
  const log = await world.openWith({ mode: 'store' })
  const archive = world.archiveOf(log)
  const textOf = (index: number) => `${index} `.repeat(1 + (index % 7) * 40)
  const look = async (index: number) => assert.equal((await archive.read(index)).toString(), textOf(index))
  for (let index = 0; index < 300; index++) log.append(...said(textOf(index)))
  await log.whenDurable(299)
  for (let index = 0; index < 300; index++) await look(index)
  for (let index = 299; index >= 0; index -= 13) await look(index)
  await log.whenDurable(log.append(...said(textOf(300))))
  await Promise.all([300, 0, 150, 299].map(look))
  await assert.rejects(archive.read(301), { code: 'PAYLOAD_UNKNOWN' })
})

test('a whole day that was erased is opened for no device, not even with what its files held before', async (context) => {
  const world = await createPayloadWorld(context)
  const log = await world.openWith({ mode: 'store' })
  for (const name of [device, other]) log.append(...said('said today', name))
  await log.whenDurable(1)
  const wrappingKey = await readFile(join(world.keyFolder, `${today}.key`))
  const keys = join(world.directory, 'payload', today, 'keys')
  const backup = await readFile(keys)
  assert.equal(await log.erasePayloadKeys({ day: todayNumber }), 2)
  assert.ok(!(await world.holds(wrappingKey)))
  for (const sequence of [0, 1]) {
    await assert.rejects(world.archiveOf(log).disclose(sequence), { code: 'PAYLOAD_ERASED' })
    await assert.rejects(world.archiveOf(log).read(sequence), { code: 'PAYLOAD_ERASED' })
  }
  await writeFile(keys, backup) // a restored backup brings the wrapped keys back, and nothing that opens them
  await assert.rejects(world.archiveOf(log).read(0), { code: 'PAYLOAD_ERASED' })

  await log.whenDurable(log.append(...said('and after that')))
  await assert.rejects(
    world.archiveOf(log).read(0),
    { code: 'AUDIT_CORRUPT' },
    'there is a wrapping key again, another one',
  )
})

test('a key file of a backup without what wraps it is gone on with by new keys', async (context) => {
  const world = await createPayloadWorld(context)
  const log = await world.openWith({})
  await log.whenDurable(log.append(...said('x')))
  await log.close()
  await rm(world.keyFolder, { recursive: true })
  const restored = await world.openWith({})
  await restored.whenDurable(restored.append(published(1), Buffer.from('y')))
  const { record, blinding } = await world.archiveOf(restored).disclose(1)
  assert.deepEqual(commitmentOf(blinding, Buffer.from('y')), Buffer.from(record.payloadCommitment))
  await assert.rejects(world.archiveOf(restored).disclose(0), { code: 'AUDIT_CORRUPT' })
})

test('keys that were changed, cut or moved open nothing, and whoever asks is told', async (context) => {
  const world = await createPayloadWorld(context)
  const log = await world.openWith({})
  for (const name of [device, other]) log.append(...said('x', name))
  await log.whenDurable(1)
  const keys = join(world.directory, 'payload', today, 'keys')
  const intact = await readFile(keys)
  const attempts: (readonly [string, Buffer])[] = [...Array(slotBytes).keys()].map((at) => {
    const bytes = Buffer.from(intact)
    bytes.writeUInt8((bytes[at] ?? 0) ^ 1, at)
    return [`byte ${at}`, bytes]
  })
  const [one, two] = [intact.subarray(0, slotBytes), intact.subarray(slotBytes)]
  const swapped = Buffer.concat([one.subarray(0, 73), two.subarray(73), two.subarray(0, 73), one.subarray(73)])
  attempts.push(['swapped', swapped], ['cut', intact.subarray(0, slotBytes - 1)], ['empty', Buffer.alloc(0)])
  attempts.push(['zeros', Buffer.alloc(2 * slotBytes)], ['ones', Buffer.alloc(2 * slotBytes, 0xff)])
  for (const [what, bytes] of attempts) {
    await writeFile(keys, bytes)
    await assert.rejects(world.archiveOf(log).disclose(0), { code: 'AUDIT_CORRUPT' }, what)
  }
  await rm(keys)
  await assert.rejects(world.archiveOf(log).disclose(0), { code: 'AUDIT_CORRUPT' })
})

test('a log whose key of today is none does not open, and says which file it is', async (context) => {
  const world = await createPayloadWorld(context)
  const log = await world.openWith({})
  await log.whenDurable(log.append(...said('x')))
  await log.close()
  const key = join(world.keyFolder, `${today}.key`)
  const intact = await readFile(key)
  for (const damaged of [intact.subarray(1), Buffer.alloc(0), Buffer.concat([intact, intact])]) {
    await writeFile(key, damaged)
    await assert.rejects(world.openWith({}), {
      code: 'AUDIT_CORRUPT',
      message: /2023-11-14\.key: expected the 32 bytes/,
    })
  }
  await (await world.openWith({ mode: 'none' })).close()
  await rm(key)
  const again = await world.openWith({})
  await again.whenDurable(again.append(...said('x')))
})

test('nor does one whose key of a day that may come is none; one of a day that is over is for who asks about it', async (context) => {
  const world = await createPayloadWorld(context)
  await mkdir(world.keyFolder)
  for (const day of ['2023-11-13', '2023-11-15', '2031-01-01']) {
    const key = join(world.keyFolder, `${day}.key`)
    await writeFile(key, 'not')
    await assert.rejects(world.openWith({}), { code: 'AUDIT_CORRUPT', message: new RegExp(`${day}\\.key: expected`) })
    await rm(key)
  }
  for (const name of ['2023-11-12.key', '2023-11-14.key.new', 'notes'])
    await writeFile(join(world.keyFolder, name), 'not')
  const log = await world.openWith({})
  await log.whenDurable(log.append(...said('x')))
})

test('a wrapping key that turns out to be none stops the writer, and all that is said of it names the file', async (context) => {
  for (const mode of ['strict', 'bestEffort'] as const) {
    const world = await createPayloadWorld(context)
    const { connectWriter, writerEnded } = watchedWriter()
    const log = await world.openWith({}, { mode, connectWriter })
    const told: string[] = []
    log.onFailure = (problem) => told.push(problem)
    const key = join(world.keyFolder, `${today}.key`)
    await mkdir(world.keyFolder)
    await writeFile(key, 'not')
    await assert.rejects(log.whenDurable(log.append(...said('x'))), { code: 'AUDIT_FAILED' })
    await writerEnded
    assert.ok(log.problem?.includes(key), log.problem)
    assert.deepEqual(told, [log.problem])
    await assert.rejects(log.erasePayloadKeys({ day: todayNumber }), { code: 'AUDIT_CLOSED' })
    await assert.rejects(log.close(), { code: 'AUDIT_FAILED', message: new RegExp(`${today}\\.key`) })
    assert.ok(log.problem?.includes(key), log.problem)
  }
})

test('a crash between the keys and the records leaves nothing that cannot be gone on with', async (context) => {
  const world = await createPayloadWorld(context)
  const log = await world.openWith({})
  await log.whenDurable(log.append(...said('x')))
  await log.close()
  const keys = join(world.directory, 'payload', today, 'keys')
  const slots = await readFile(keys)
  // A key for record 9, which the log never got to hold, and the beginning of another one.
  const later = Buffer.from(slots)
  later.write('sensor-8', 1, 'latin1')
  later.writeBigUInt64BE(9n, 65)
  await writeFile(keys, Buffer.concat([slots, later, slots.subarray(0, 100)]))
  const again = await world.openWith({})
  for (const name of [device, other]) again.append(...said('y', name))
  await again.whenDurable(2)
  assert.equal((await readFile(keys)).length, 3 * slotBytes)
  for (const sequence of [0, 1, 2]) {
    const { record, blinding } = await world.archiveOf(again).disclose(sequence)
    const payload = Buffer.from(sequence === 0 ? 'x' : 'y')
    assert.deepEqual(commitmentOf(blinding, payload), Buffer.from(record.payloadCommitment))
  }
})

/** The writer in its thread, and when that has ended. */
function watchedWriter(): { readonly connectWriter: ConnectWriter; readonly writerEnded: Promise<void> } {
  let ended: () => void = () => undefined
  const writerEnded = new Promise<void>((resolve) => (ended = resolve))
  const connectWriter: ConnectWriter = (options, receive) =>
    startWorker(options, (message) => {
      receive(message)
      if (message.kind === 'failed' && message.message === 'the writer has ended') ended()
    })
  return { connectWriter, writerEnded }
}
