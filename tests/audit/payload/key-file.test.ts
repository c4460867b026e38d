import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { payloadLayout } from '../../../audit/payload/files.js'
import { KeyFile, maxReadyKeys } from '../../../audit/payload/key-file.js'
import { slotBytes } from '../../../audit/payload/key-slot.js'
import { createPayloadWorld, said, todayNumber } from './world.js'

test('only so many keys lie ready in memory; a device whose key does not keeps the one it has', async (context) => {
  const folders = await temporaryFolders(context)
  const keys = KeyFile.open(folders, todayNumber)
  context.after(() => keys.close())
  const first = keys.keyFor('device-0', 0).encryptionKey
  for (let index = 0; index < maxReadyKeys + 10; index++) keys.keyFor(`device-${index}`, index)
  assert.deepEqual(keys.keyFor('device-0', maxReadyKeys + 11).encryptionKey, first)
  keys.sync()
  const { size } = await stat(payloadLayout.keys(folders.directory, todayNumber))
  assert.equal(size, (maxReadyKeys + 10) * slotBytes)
})

test('keys are on disk when they are synced, and not written again', async (context) => {
  const folders = await temporaryFolders(context)
  const path = payloadLayout.keys(folders.directory, todayNumber)
  const keys = KeyFile.open(folders, todayNumber)
  context.after(() => keys.close())
  const made = keys.keyFor('device-1', 5).encryptionKey
  await assert.rejects(readFile(path), { code: 'ENOENT' })
  keys.sync()
  const written = await readFile(path)
  assert.equal(written.length, slotBytes)
  keys.keyFor('device-1', 6)
  keys.sync()
  assert.deepEqual(await readFile(path), written)
  const again = KeyFile.openIfThere(folders, todayNumber)
  assert.deepEqual(again?.keyFor('device-1', 7).encryptionKey, made)
  again?.close()
})

test('a day is erased also where only what wraps its keys is left', async (context) => {
  const world = await createPayloadWorld(context)
  const log = await world.openWith({})
  await log.whenDurable(log.append(...said('x')))
  await log.close()
  await rm(payloadLayout.keys(world.directory, todayNumber))
  const wrappingKey = await readFile(payloadLayout.wrappingKey(world.keyFolder, todayNumber))
  const again = await world.openWith({})
  await again.erasePayloadKeys({ day: todayNumber })
  assert.ok(!(await world.holds(wrappingKey)))
})

test('a log that can make no keys records no message, and says so', async (context) => {
  const world = await createPayloadWorld(context)
  const log = await world.openWith({})
  await log.whenDurable(log.append({ event: 'server.stop' }))
  await writeFile(world.keyFolder, 'a file where the folder should be')
  await assert.rejects(log.whenDurable(log.append(...said('x'))), { code: 'AUDIT_FAILED' })
  assert.equal(log.healthy, false)
})

const takenAway: readonly (readonly [how: string, take: (path: string) => Promise<void>])[] = [
  ['taken away', (path) => rm(path)],
  ['taken away with its folder', (path) => rm(dirname(path), { recursive: true })],
  ['replaced by another', (path) => writeFile(path, Buffer.alloc(32, 7))],
]

for (const [how, take] of takenAway) {
  test(`after the key of a day is ${how} under a log that goes on, what is said next goes by what is there`, async (context) => {
    const world = await createPayloadWorld(context)
    const path = payloadLayout.wrappingKey(world.keyFolder, todayNumber)
    const log = await world.openWith({ mode: 'store' })
    const archive = world.archiveOf(log)
    await log.whenDurable(log.append(...said('before')))
    await take(path)
    for (const text of ['next', 'and next']) await log.whenDurable(log.append(...said(text)))
    assert.equal((await archive.read(1)).toString(), 'next')
    assert.equal((await archive.read(2)).toString(), 'and next')
    await assert.rejects(archive.read(0), { code: 'AUDIT_CORRUPT' })
    await log.close()
    const again = await world.openWith({ mode: 'store' })
    await again.whenDurable(again.append(...said('after a restart')))
    assert.equal((await world.archiveOf(again).read(1)).toString(), 'next')
    assert.equal((await world.archiveOf(again).read(3)).toString(), 'after a restart')
  })
}

test('a key of a day that cannot be read under a log that goes on does not stop it, and is good again when it is back', async (context) => {
  const world = await createPayloadWorld(context)
  const path = payloadLayout.wrappingKey(world.keyFolder, todayNumber)
  const log = await world.openWith({ mode: 'store' })
  await log.whenDurable(log.append(...said('before')))
  const key = await readFile(path)
  await writeFile(path, 'half')
  await log.whenDurable(log.append(...said('meanwhile')))
  await writeFile(path, key)
  await log.whenDurable(log.append(...said('after')))
  const archive = world.archiveOf(log)
  for (const [at, text] of ['before', 'meanwhile', 'after'].entries())
    assert.equal((await archive.read(at)).toString(), text)
})

async function temporaryFolders(context: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'touchmark-keys-'))
  context.after(() => rm(directory, { recursive: true, force: true }))
  return { directory, keyFolder: join(directory, 'payload-keys') }
}
