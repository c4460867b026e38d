import assert from 'node:assert/strict'
import { type TestContext } from 'node:test'
import { atBothLevels, cut, heard, lasting, publishAll, subscribe } from '../conformance/peer.js'
import { makeWorld, type RawClient, type World } from '../harness.js'

/* Attack cases 1 to 8 and 12: filters that reach beyond what was granted, in every way that others have let through. */

/** `d1` may hear the granted topics and nothing else, `d2` may say anything. */
function policyOf({ granted, denied = [], more = '' }: Grant): string {
  const rule = (id: string, actions: string, topics: readonly string[]) =>
    `{ id: ${id}, actions: [${actions}], topics: ${JSON.stringify(topics)} }`
  const deny = denied.length > 0 ? `deny: [${rule('no', 'receive', denied)}]` : ''
  return `
apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: test, version: 3 }
${more}
roles:
  listener:
    allow: [${rule('hear', 'subscribe, receive', granted)}]
    ${deny}
  speaker:
    allow: [{ id: say, actions: [publish], topics: ["#"], retain: true }]
bindings:
  - { role: listener, match: { ids: [d1] } }
  - { role: speaker, match: { ids: [d2] } }
`
}

interface Grant {
  readonly granted: readonly string[]
  readonly denied?: readonly string[]
  readonly more?: string
}

interface Case extends Grant {
  readonly number: number
  readonly asked: string
  readonly is: 'granted' | 'refused'
}

const cases: readonly Case[] = [
  { number: 1, granted: ['f/d1/#'], asked: '#', is: 'refused' },
  { number: 2, granted: ['f/d1/cmd'], asked: 'f/+/cmd', is: 'refused' },
  { number: 3, granted: ['f/d1/cmd'], asked: '+/d1/cmd', is: 'refused' },
  { number: 4, granted: ['/#'], asked: '#', is: 'refused' },
  { number: 5, granted: ['#'], asked: '$SYS/#', is: 'refused' },
  { number: 5, granted: ['#'], asked: '$share/g/x', is: 'refused' },
  { number: 6, granted: ['a/+'], asked: 'a/#', is: 'refused' },
  { number: 6, granted: ['a/#'], asked: 'a', is: 'granted' },
  { number: 7, granted: ['a/1', 'a/2'], asked: 'a/+', is: 'refused' },
  { number: 7, granted: ['a', 'a/+', 'a/+/#'], asked: 'a/#', is: 'granted' },
  { number: 8, granted: ['a/#'], denied: ['a/secret'], more: 'onOverlap: reject', asked: 'a/#', is: 'refused' },
]

for (const { number, granted, denied, asked, is, more } of cases) {
  const held = `${granted.join(', ')}${denied ? ` without ${denied.join(', ')}` : ''}`
  atBothLevels(`case ${number}: ${asked} is ${is} to who may hear ${held}, on record`, async (t, level) => {
    const { world, listener } = await openWorld(t, { granted, ...(denied && { denied }), ...(more && { more }) }, level)
    const code = is === 'granted' ? 2 : level === 5 ? 0x87 : 0x80
    assert.deepEqual((await subscribe(listener, [asked, 2])).granted, [code])
    const [record] = world.records('message.subscribe')
    assert.deepEqual([record?.topic, record?.decision], [asked, is === 'granted' ? 'allow' : 'deny'])
    const kept = world.broker.sessions().flatMap(({ subscriptions }) => subscriptions.map(({ filter }) => filter))
    assert.deepEqual(kept, is === 'granted' ? [asked] : [])
  })
}

atBothLevels('case 5: +/broker is granted to who may hear all, and brings nothing of $SYS', async (t, level) => {
  const { world, listener } = await openWorld(t, { granted: ['#'] }, level)
  assert.deepEqual((await subscribe(listener, ['+/broker', 1])).granted, [1])
  await world.restart()
  const back = await world.raw('d1', {}, level)
  await back.connect('d1', lasting(level))
  await back.ping()
  assert.deepEqual(heard(back), [])
})

atBothLevels(
  'case 8: a secret below a filter that is granted is delivered to nobody: live, retained or queued',
  async (t, level) => {
    const { world, listener, speaker } = await openWorld(t, { granted: ['a/#'], denied: ['a/secret'] }, level)
    await publishAll(speaker, ['a/secret', 'retained', { qos: 1, retain: true }], ['a/open', 'kept', { retain: true }])
    assert.deepEqual((await subscribe(listener, ['a/#', 1])).granted, [1])
    await publishAll(speaker, ['a/secret', 'live', { qos: 1 }], ['a/open', 'live too', { qos: 1 }])
    await listener.next('publish', 2)
    await cut(world, listener)
    await publishAll(speaker, ['a/secret', 'queued', { qos: 1 }], ['a/open', 'waits', { qos: 1 }])
    const back = await world.raw('d1', {}, level)
    await back.connect('d1', lasting(level))
    await back.next('publish')
    await back.ping()
    assert.ok([...listener.all('publish'), ...back.all('publish')].every(({ topic }) => topic === 'a/open'))
    assert.ok(heard(back).includes('waits'))
  },
)

atBothLevels(
  'case 12: of a filter that was refused beside one that was granted nothing is delivered, queued or stored',
  async (t, level) => {
    const { world, listener, speaker } = await openWorld(t, { granted: ['f/d1/#'] }, level)
    const refused = level === 5 ? 0x87 : 0x80
    assert.deepEqual((await subscribe(listener, ['f/d1/#', 1], ['f/d2/#', 1])).granted, [1, refused])
    await cut(world, listener)
    await publishAll(speaker, ['f/d2/x', 'of others', { qos: 1 }], ['f/d1/x', 'its own', { qos: 1 }])
    assert.equal(world.broker.sessions().find(({ clientId }) => clientId === 'd1')?.queued, 1)
    await world.restart()
    const back = await world.raw('d1', {}, level)
    await back.connect('d1', lasting(level))
    await back.next('publish')
    await back.ping()
    assert.deepEqual(heard(back), ['its own'])
    const stored: string[] = []
    for await (const [key] of world.store.entries('broker/subscription/')) stored.push(key)
    assert.deepEqual(stored, ['broker/subscription/d1/f/d1/#'])
  },
)

interface Scene {
  readonly world: World
  readonly listener: RawClient
  readonly speaker: RawClient
}

async function openWorld(t: TestContext, grant: Grant, level: 4 | 5): Promise<Scene> {
  const world = await makeWorld(t, { policy: policyOf(grant) })
  const [listener, speaker] = [await world.raw('d1', {}, level), await world.raw('d2', {}, level)]
  await listener.connect('d1', lasting(level))
  await speaker.connect('d2')
  return { world, listener, speaker }
}
