import assert from 'node:assert/strict'
import test from 'node:test'
import { parseDeviceId } from '#protocol'
import { createMemoryStore, StoreError } from '#store'
import { LastHeard } from '../../../server/inventory/last-heard.js'

const [pump, valve] = [parseDeviceId('pump-7'), parseDeviceId('valve-1')]

test('what was heard is known at once, and after a restart as far as it was kept', async () => {
  const store = createMemoryStore()
  const clock = { now: 1000 }
  const open = () => LastHeard.open({ store, now: () => clock.now, warn: (sentence) => assert.fail(sentence) })
  const heard = await open()
  heard.note(pump)
  clock.now = 2000
  heard.note(valve)
  assert.deepEqual([heard.of(pump), heard.of(valve)], [1000, 2000])
  await heard.keep()
  clock.now = 3000
  heard.note(pump)
  const after = await open()
  assert.deepEqual([after.of(pump), after.of(valve)], [1000, 2000])
  await heard.start()()
  assert.equal((await open()).of(pump), 3000, 'who stops in order keeps all of it')
})

test('a store that fails costs nothing but the time, and is asked again', async () => {
  const store = createMemoryStore()
  const told: string[] = []
  let full = true
  const commit: typeof store.commit = async (changes) => {
    if (full) throw new StoreError('STORE_FULL', 'no room')
    return store.commit(changes)
  }
  const options = { store: { ...store, commit }, now: () => 5, warn: (sentence: string) => void told.push(sentence) }
  const heard = await LastHeard.open(options)
  heard.note(pump)
  await heard.keep()
  assert.equal(told.length, 1)
  full = false
  await heard.keep()
  assert.equal((await LastHeard.open(options)).of(pump), 5)
})

test('a row that the disk has spoiled is forgotten, and keeps nobody from starting', async () => {
  const store = createMemoryStore()
  const spoiled = new Uint8Array([255, 0])
  await store.commit({ puts: ['pump-7', 'pump/7', ''].map((id) => [`server/heard/${id}`, spoiled] as const) })
  const heard = await LastHeard.open({ store, now: () => 1, warn: () => undefined })
  assert.equal(heard.of(pump), undefined)
})
