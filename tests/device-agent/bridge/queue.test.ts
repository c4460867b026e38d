import assert from 'node:assert/strict'
import { readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { parseTopicName } from '#protocol'
import { type BridgeLimits, defaultBridgeLimits } from '../../../device-agent/bridge/limits.js'
import type { Message, QueuedMessage } from '../../../device-agent/bridge/message.js'
import { MessageQueue } from '../../../device-agent/bridge/queue.js'
import { recordBytes } from '../../../device-agent/bridge/record.js'
import { asRoot, fillDisk, mountSmallDisk, removeFillers } from '../../small-disk.js'
import { temporaryFolder } from '../temporary-folder.js'

const someone = { isGone: false }
const never = new AbortController().signal

test('gives back what it was given, in order, and again after a new start what was not answered', async (t) => {
  const folder = temporaryFolder(t)
  const first = await open(folder)
  for (let n = 0; n < 5; n++) await first.add(message(n), someone)
  const [one, two] = [await take(first), await take(first)]
  assert.deepEqual([said(one), said(two)], ['0', '1'])
  first.done(one)
  await first.close()

  const second = await open(folder)
  assert.equal(second.size.messages, 4)
  const again = [await take(second), await take(second), await take(second), await take(second)]
  assert.deepEqual(again.map(said), ['1', '2', '3', '4'])
  assert.ok(again[0]?.maybeSent, 'it was under way when the agent ended')
  assert.deepEqual([again[0]?.retain, again[1]?.qos], [true, 1])
  await second.close()
})

test('a message that is answered before it is written never comes to the disk', async (t) => {
  const folder = temporaryFolder(t)
  const queue = await open(folder, { lingerMs: 3_600_000 })
  queue.carried()
  const kept = queue.add(message(1), someone)
  queue.done(await take(queue))
  assert.equal(await kept, 'kept')
  assert.deepEqual(queue.size, { messages: 0, bytes: 0, dropped: 0 })
  await queue.close()
  assert.deepEqual(readdirSync(folder), ['acknowledged'])
})

test('what a lost connection left unanswered comes first on the next, and says that it may be there already', async (t) => {
  const queue = await open(temporaryFolder(t))
  queue.carried()
  for (let n = 0; n < 3; n++) await queue.add(message(n), someone)
  const [zero, one] = [await take(queue), await take(queue)]
  assert.equal(zero.maybeSent, false)
  queue.stranded()
  queue.done(zero) // its answer was heard after all
  const again = await take(queue)
  assert.deepEqual([again, again.maybeSent], [one, true])
  assert.equal(said(await take(queue)), '2')
  await queue.close()
})

test('a full queue drops the oldest messages of QoS 0, and then keeps the senders of QoS 1 waiting', async (t) => {
  const folder = temporaryFolder(t)
  const queue = await open(folder, { maxQueuedBytes: 64 * 1024 })
  const large = (n: number, qos: 0 | 1): Message => ({
    ...message(n, qos),
    payload: Buffer.alloc(1000, String(n % 10)),
  })
  for (let n = 0; n < 40; n++) await queue.add(large(n, 0), someone)
  const fitting = Math.floor((64 * 1024) / recordBytes(large(0, 1)))
  for (let n = 0; n < fitting; n++) assert.equal(await queue.add(large(n, 1), someone), 'kept')
  assert.deepEqual([queue.size.messages, queue.size.dropped], [fitting, 40])
  assert.equal(await queue.add(large(100, 0), someone), 'dropped')

  let isKept = false
  const held = queue.add(large(101, 1), someone).then(() => (isKept = true))
  assert.equal(await queue.add(large(102, 0), someone), 'dropped')
  assert.ok(bytesIn(folder) <= 64 * 1024)
  assert.equal(isKept, false)
  for (let n = 0; n < 10; n++) queue.done(await take(queue))
  await held
  await queue.close()
})

test('who goes away while it waits for room leaves nothing in memory', async (t) => {
  const queue = await open(temporaryFolder(t), { maxQueuedBytes: 16 * 1024 })
  const program = { isGone: false }
  const waiting: Promise<unknown>[] = []
  for (let n = 0; n < 30; n++) waiting.push(queue.add({ ...message(n), payload: Buffer.alloc(1000) }, program))
  await waiting[0]
  await queue.add(message(31, 0), someone) // dropped: so the others have been looked at
  program.isGone = true
  queue.forget(program)
  assert.ok(queue.size.bytes <= 16 * 1024)
  await Promise.all(waiting)
  await queue.close()
})

test('a file cut off by a power cut, or that holds something else, costs its end only', async (t) => {
  const folder = temporaryFolder(t)
  const first = await open(folder)
  for (let n = 0; n < 3; n++) await first.add(message(n), someone)
  await first.close()
  const [file] = readdirSync(folder).filter((name) => name.endsWith('.queue'))
  assert.ok(file !== undefined)
  truncateSync(join(folder, file), statSync(join(folder, file)).size - 1)
  writeFileSync(join(folder, '0000000000000009.queue'), 'nothing of ours')
  writeFileSync(join(folder, 'acknowledged'), 'nor this')

  const second = await open(folder)
  assert.equal(second.size.messages, 2)
  await second.add(message(7), someone)
  const found = [await take(second), await take(second), await take(second)]
  assert.deepEqual(found.map(said), ['0', '1', '7'])
  for (const one of found) second.done(one)
  await second.close()
  const third = await open(folder)
  assert.equal(third.size.messages, 0)
  await third.close()
})

test('on a full disk QoS 1 waits, and is kept as soon as there is room', asRoot(), async (t) => {
  const folder = join(temporaryFolder(t), 'small')
  const unmount = mountSmallDisk(folder, 1)
  try {
    await fillAndFree(folder)
  } finally {
    unmount()
  }
})

async function fillAndFree(folder: string): Promise<void> {
  const failures: unknown[] = []
  const limits = { ...defaultBridgeLimits, retryDiskMs: 1 }
  const queue = await MessageQueue.open(folder, limits, (error) => failures.push(error))
  fillDisk(folder, 0)
  const large = { ...message(0), payload: Buffer.alloc(64 * 1024) }
  let isKept = false
  const kept = queue.add(large, someone).then(() => (isKept = true))
  assert.equal(await queue.add({ ...large, qos: 0 }, someone), 'dropped')
  assert.deepEqual([isKept, failures.length > 0], [false, true])
  const answered = queue.add(message(5), someone)
  assert.equal((await take(queue)).payload.length, large.payload.length)
  queue.done(await take(queue))
  assert.equal(await answered, 'kept', 'what the service answers needs no disk')
  removeFillers(folder)
  await kept
  await queue.close()
  const again = await MessageQueue.open(folder, limits, (error) => failures.push(error))
  assert.equal((await take(again)).payload.length, large.payload.length)
  await again.close()
}

function open(folder: string, limits: Partial<BridgeLimits> = {}): Promise<MessageQueue> {
  return MessageQueue.open(folder, { ...defaultBridgeLimits, ...limits }, (error) => assert.fail(String(error)))
}

function message(n: number, qos: 0 | 1 = 1): Message {
  return { topic: parseTopicName('devices/d1/telemetry/n'), payload: Buffer.from(String(n)), qos, retain: n === 1 }
}

async function take(queue: MessageQueue): Promise<QueuedMessage> {
  return (await queue.take(never)) ?? assert.fail()
}

function said({ payload }: QueuedMessage): string {
  return Buffer.from(payload).toString()
}

function bytesIn(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
}
