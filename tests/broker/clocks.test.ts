import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { cut, heard, join, publishAll, subscribe } from './conformance/peer.js'
import { makeWorld, until } from './harness.js'

/* A clock that is set says nothing about how long something has waited. */

const anHour = 3_600_000
const properties = { sessionExpiryInterval: 60 }
const lasting = { clean: false, properties }
const delayed = {
  topic: 'open/will',
  payload: Buffer.from('gone'),
  qos: 1,
  retain: false,
  properties: { willDelayInterval: 30 },
} as const

for (const [what, step] of [
  ['forward', anHour / 2],
  ['back', -anHour / 2],
] as const) {
  test(`a clock that is set ${what} ends no session, message or will before its time, and keeps none beyond it`, async (t) => {
    const { world, pass } = await openWorld(t)
    const away = await join(world, 'd1', 5, { ...lasting, will: delayed })
    await subscribe(away, ['open/#', 1])
    await cut(world, away)
    const speaker = await join(world, 'd2', 5)
    await publishAll(speaker, ['open/brief', 'brief', { qos: 1, properties: { messageExpiryInterval: 20 } }])
    await publishAll(speaker, [
      'open/kept',
      'kept',
      { qos: 1, retain: true, properties: { messageExpiryInterval: 90 } },
    ])
    const listener = await join(world, 'd3', 5)
    await subscribe(listener, ['open/#', 1])
    await listener.next('publish')

    world.clock += step
    pass(10_000)
    const back = await join(world, 'd1', 5, lasting)
    assert.equal(back.all('connack')[0]?.sessionPresent, true)
    await back.next('publish', 2)
    assert.deepEqual(heard(back), ['brief', 'kept'])
    const [brief] = back.all('publish')
    assert.equal(brief?.properties?.messageExpiryInterval, 10)
    await cut(world, back)

    pass(61_000)
    await until(() => world.broker.sessions().every(({ clientId }) => clientId !== 'd1'))
    const late = await join(world, 'd1', 5, lasting)
    assert.equal(late.all('connack')[0]?.sessionPresent, false)
    await subscribe(late, ['open/kept', 1])
    assert.equal((await late.next('publish')).payload.toString(), 'kept')
    pass(20_000)
    await subscribe(late, ['open/kept', 1])
    await late.ping()
    assert.equal(late.all('publish').length, 1)
  })

  test(`a clock that is set ${what} does not hurry a will, nor hold it up`, async (t) => {
    const { world, pass } = await openWorld(t)
    const listener = await join(world, 'd3', 5)
    await subscribe(listener, ['open/#', 1])
    await cut(world, await join(world, 'd1', 5, { ...lasting, will: delayed }))
    world.clock += step
    pass(29_000)
    await world.credentials('d4') // some turns of the loop
    await listener.ping()
    assert.deepEqual(heard(listener), [])
    pass(1000)
    assert.equal((await listener.next('publish')).payload.toString(), 'gone')
  })
}

test('what a restart finds has waited as long as the time of day says', async (t) => {
  const { world, pass } = await openWorld(t)
  for (const id of ['d1', 'd2']) await cut(world, await joinAndSubscribe(world, id, id === 'd1' ? 60 : 600))
  const speaker = await join(world, 'd3', 5)
  await publishAll(speaker, ['open/brief', 'brief', { qos: 1, properties: { messageExpiryInterval: 100 } }])
  await publishAll(speaker, ['open/long', 'long', { qos: 1, properties: { messageExpiryInterval: 200 } }])
  world.clock += 110_000
  pass(-1_000_000) // it counts anew with every start
  await world.restart()
  const [ended, kept] = [await join(world, 'd1', 5, lasting), await join(world, 'd2', 5, lasting)]
  assert.equal(ended.all('connack')[0]?.sessionPresent, false)
  const left = await kept.next('publish')
  assert.deepEqual([left.payload.toString(), left.properties?.messageExpiryInterval], ['long', 90])
})

type Opened = Awaited<ReturnType<typeof openWorld>>

async function joinAndSubscribe(world: Opened['world'], id: string, sessionExpiryInterval: number) {
  const client = await join(world, id, 5, { clean: false, properties: { sessionExpiryInterval } })
  await subscribe(client, ['open/#', 1])
  return client
}

/** With a clock that nobody sets, which goes on by `pass`. */
async function openWorld(t: TestContext) {
  let elapsed = 5_000_000
  const world = await makeWorld(t, { change: { elapsed: () => elapsed } })
  return { world, pass: (milliseconds: number) => void (elapsed += milliseconds) }
}
