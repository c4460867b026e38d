import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { createMemoryAudit } from '#audit'
import { createMemoryStore, type Store } from '#store'
import { listenTo, makeWorld, publishPacket, subscribePacket, until } from './harness.js'

test('with a relaxed log CONNACK, SUBACK, PUBACK and fan-out do not wait for the disk', async (t) => {
  const audit = createMemoryAudit({ mode: 'relaxed' })
  const world = await makeWorld(t, { change: { audit } })
  audit.hold()
  const speaker = await world.raw('d1')
  await speaker.connect('d1')
  const listener = await listenTo(world, 'd2', 'open/#', 1)
  speaker.send(publishPacket('open/x', 'one', { qos: 1, messageId: 5 }))
  assert.equal((await speaker.next('puback')).messageId, 5)
  assert.equal((await listener.next('publish')).payload.toString(), 'one')
  assert.equal(audit.durable, -1)
  audit.release()
})

for (const mode of ['strict', 'relaxed'] as const) {
  test(`with a ${mode} log PUBACK waits until the store has the message for every persistent session`, async (t) => {
    const audit = createMemoryAudit({ mode })
    const store = createMemoryStore()
    const world = await makeWorld(t, { change: { audit, store } })
    const [speaker, keeper] = [await world.raw('d1'), await world.raw('d2')]
    await keeper.connect('d2', { clean: false })
    keeper.send(subscribePacket(1, ['open/#', 1]))
    await keeper.next('suback')
    keeper.socket.destroy()
    await until(() => audit.records.some(({ event }) => event === 'session.end'))
    await speaker.connect('d1')

    const commits = holdCommits(t, store)
    speaker.send(publishPacket('open/x', 'one', { qos: 1, messageId: 5 }))
    await until(() => commits.held > 0)
    await speaker.ping()
    assert.equal(speaker.all('puback').length, 0)
    commits.release()
    assert.equal((await speaker.next('puback')).messageId, 5)
  })
}

/** From now on the store takes its time. */
function holdCommits(t: TestContext, store: Store): { held: number; release(): void } {
  const commit = store.commit.bind(store)
  const commits = { held: 0, release: (): void => undefined }
  const released = new Promise<void>((resolve) => (commits.release = resolve))
  t.after(() => commits.release())
  t.mock.method(store, 'commit', async (...args: Parameters<Store['commit']>) => {
    commits.held++
    await released
    return await commit(...args)
  })
  return commits
}
