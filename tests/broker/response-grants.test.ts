import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { parsePolicy, renderPolicy } from '#policy'
import { parseTopicName } from '#protocol'
import { Answers } from '../../broker/answers.js'
import { questionOf } from '../../broker/request.js'
import { heard, join, subscribe } from './conformance/peer.js'
import { device, makeWorld, publishPacket, type RawClient, until, type World } from './harness.js'

/* MQTT 5.0 §4.10: whoever was asked may answer, once; and everything that is not quite that. */

/** `d1` asks everyone, `d2` and `d3` hear what they are asked and may say nothing of their own. */
const policyWith = (more = '') => `
apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: ask, version: 3 }
onDenyPublish: drop
roles:
  asker:
    sessions: { max: 2 }
    allow:
      - { id: ask, actions: [publish], topics: ["ask/+", "ask/all/#", "answers/d1/asked"], retain: true, respond: { within: 30s } }
      - { id: tell, actions: [publish], topics: ["tell/+"] }
      - { id: answers, actions: [subscribe, receive], topics: ["answers/\${device.id}/#", "answers/all/#"] }
  answerer:
    allow:
      - { id: asked, actions: [subscribe, receive], topics: ["ask/\${device.id}", "ask/all/#", "tell/+"] }
${more}
bindings:
  - { role: asker, match: { ids: [d1, d4] } }
  - { role: answerer, match: { ids: [d2, d3] } }
`

test('whoever was asked may answer once, on record by the rule that asked', async (t) => {
  const { world, asker, answerer } = await open(t)
  await ask(asker, 'ask/d2', 'answers/d1/x', 'c1')
  const { properties } = await answerer.next('publish')
  assert.deepEqual([properties?.responseTopic, String(properties?.correlationData)], ['answers/d1/x', 'c1'])
  assert.equal(await answer(answerer, 'answers/d1/x', 'c1'), 0)
  assert.equal((await asker.next('publish')).properties?.correlationData?.toString(), 'c1')
  assert.equal(await answer(answerer, 'answers/d1/x', 'c1'), refused)
  const [, given, again] = world.records('message.publish')
  assert.deepEqual([given?.device, given?.decision, given?.rules], ['d2', 'allow', ['asker/ask']])
  assert.deepEqual([again?.decision, again?.reason, heard(asker)], ['deny', 'no_rule', ['c1']])
})

test('an answer has its topic, its correlation data and its giver; nothing else is opened, nor spent', async (t) => {
  const { world, asker, answerer } = await open(t)
  const other = await join(world, 'd3', 5)
  await ask(asker, 'ask/d2', 'answers/d1/x', 'c1')
  await answerer.next('publish')
  assert.equal(await answer(other, 'answers/d1/x', 'c1'), refused)
  for (const [topic, data] of [
    ['answers/d1/x', 'c2'],
    ['answers/d1/x', ''],
    ['answers/d1/x/', 'c1'],
    ['answers/d1', 'c1'],
    ['answers/d4/x', 'c1'],
    ['ask/d2', 'c1'],
  ] as const)
    assert.equal(await answer(answerer, topic, data), refused, topic)
  assert.equal(await answer(answerer, 'answers/d1/x', 'c1', { retain: true }), refused)
  assert.equal(await answer(answerer, 'answers/d1/x', 'c1'), 0)
})

test('an answer is given in time, and not after', async (t) => {
  const { world, asker, answerer } = await open(t)
  await ask(asker, 'ask/d2', 'answers/d1/x', 'in time')
  await ask(asker, 'ask/d2', 'answers/d1/x', 'too late')
  await answerer.next('publish', 2)
  world.clock += 29_999
  assert.equal(await answer(answerer, 'answers/d1/x', 'in time'), 0)
  world.clock += 1
  assert.equal(await answer(answerer, 'answers/d1/x', 'too late'), refused)
})

test('nobody is asked by a rule that does not say so, without correlation data, or for a topic that the asker may not hear', async (t) => {
  const { asker, answerer } = await open(t)
  assert.ok((await subscribe(answerer, ['tell/+', 1])).granted.every((code) => code === 1))
  await ask(asker, 'tell/d2', 'answers/d1/x', 'c1')
  await ask(asker, 'ask/d2', 'answers/d1/y', '')
  await ask(asker, 'ask/d2', 'answers/d1/z', 'c'.repeat(257))
  await answerer.next('publish', 3)
  assert.equal(await answer(answerer, 'answers/d1/x', 'c1'), refused)
  assert.equal(await answer(answerer, 'answers/d1/y', ''), refused)
  assert.equal(await answer(answerer, 'answers/d1/z', 'c'.repeat(257)), refused)
  for (const topic of ['answers/d4/x', '$SYS/x', '$x/y']) {
    assert.equal(await ask(asker, 'ask/d2', topic, 'c2'), refused, topic)
    assert.equal(await answer(answerer, topic, 'c2'), refused, topic)
  }
  await answerer.ping()
  assert.equal(answerer.all('publish').length, 3)
  asker.send(
    publishPacket('ask/d2', 'x', { properties: { responseTopic: 'answers/#', correlationData: Buffer.of(1) } }),
  )
  await asker.closed
})

test('no device gives itself a right to answer, nor through another session of its own', async (t) => {
  const { world, asker } = await open(t, '')
  const second = await join(world, 'd1~second', 5)
  await subscribe(second, ['answers/d1/asked', 1])
  await ask(asker, 'answers/d1/asked', 'answers/d1/x', 'c1')
  await second.next('publish')
  for (const client of [asker, second]) assert.equal(await answer(client, 'answers/d1/x', 'c1'), refused)
})

test('a deny stands, whoever asks', async (t) => {
  const { asker, answerer } = await open(t, '    deny: [{ id: no, actions: [publish], topics: ["answers/+/secret"] }]')
  await ask(asker, 'ask/d2', 'answers/d1/secret', 'c1')
  await answerer.next('publish')
  assert.equal(await answer(answerer, 'answers/d1/secret', 'c1'), refused)
})

const ends: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  'who asked has gone': async ({ world, asker }) => {
    asker.socket.destroy()
    await asker.closed
    await until(() => world.broker.sessions().every(({ clientId }) => clientId !== 'd1'))
  },
  'who asked has gone and come back': async ({ world, asker }) => {
    asker.socket.destroy()
    await asker.closed
    await subscribe(await join(world, 'd1', 5), ['answers/d1/#', 1])
  },
  'who asked is revoked': async ({ world, asker }) => {
    world.refused.set(device('d1'), 'revoked')
    world.broker.endDevices([device('d1')], 'revoked')
    await asker.closed
  },
  'policy has changed': async ({ world }) => {
    world.setPolicy(policyWith().replace('version: 3', 'version: 4'))
    await world.broker.policyChanged()
  },
}

for (const [what, end] of Object.entries(ends)) {
  test(`nobody may answer any more once ${what}`, async (t) => {
    const scene = await open(t)
    await ask(scene.asker, 'ask/d2', 'answers/d1/x', 'c1')
    await scene.answerer.next('publish')
    await end(scene)
    assert.equal(await answer(scene.answerer, 'answers/d1/x', 'c1'), refused)
  })
}

test('who was asked and has come back may not answer any more, nor by what is retained or sent again', async (t) => {
  const { world, asker, answerer } = await open(t)
  await ask(asker, 'ask/d2', 'answers/d1/x', 'c1', { retain: true })
  await answerer.next('publish') // not acknowledged
  answerer.socket.destroy()
  await answerer.closed
  const lasting = { clean: false, properties: { sessionExpiryInterval: 60 } }
  const back = await join(world, 'd2', 5, lasting)
  assert.equal((await back.next('publish')).dup, true)
  await subscribe(back, ['ask/d2', 1])
  assert.equal((await back.next('publish', 2)).retain, true)
  assert.equal(await answer(back, 'answers/d1/x', 'c1'), refused)
})

test('who asks without end crowds out its own questions, and not those of others', async (t) => {
  const { world, asker, answerer } = await open(t)
  const modest = await join(world, 'd4', 5)
  await ask(modest, 'ask/d2', 'answers/d4/x', 'one')
  for (let asked = 0; asked < 200; asked++) await ask(asker, 'ask/d2', 'answers/d1/x', `c${asked}`)
  await answerer.next('publish', 201)
  assert.equal(await answer(answerer, 'answers/d4/x', 'one'), 0x10)
  assert.equal(await answer(answerer, 'answers/d1/x', 'c0'), refused)
  assert.equal(await answer(answerer, 'answers/d1/x', 'c199'), 0)
  let given = 2
  for (let asked = 0; asked < 199; asked++) if ((await answer(answerer, 'answers/d1/x', `c${asked}`)) === 0) given++
  assert.equal(given, 64)
})

test('who asks what another has asked takes nothing from it: each gets one answer, also when the other has gone', async (t) => {
  const { world, asker, answerer } = await open(t)
  const stranger = await join(world, 'd4', 5)
  await subscribe(asker, ['answers/all/#', 1])
  await ask(asker, 'ask/d2', 'answers/all/x', 'c1')
  await ask(stranger, 'ask/d2', 'answers/all/x', 'c1')
  await ask(stranger, 'ask/d2', 'answers/all/x', 'c1')
  await answerer.next('publish', 3)
  for (const code of [0, 0, refused]) assert.equal(await answer(answerer, 'answers/all/x', 'c1'), code)

  await ask(asker, 'ask/d2', 'answers/all/x', 'c2')
  await ask(stranger, 'ask/d2', 'answers/all/x', 'c2')
  await answerer.next('publish', 5)
  stranger.socket.destroy()
  await until(() => world.broker.sessions().every(({ clientId }) => clientId !== 'd4'))
  for (const code of [0, refused]) assert.equal(await answer(answerer, 'answers/all/x', 'c2'), code)
})

test('a question takes as little room as any other, however long its topic; what is over is let go', async (t) => {
  const { asker, answerer } = await open(t)
  const topic = `answers/d1/${'x'.repeat(1000)}`
  await ask(asker, 'ask/d2', topic, 'c1')
  await answerer.next('publish')
  assert.equal(await answer(answerer, topic, 'c1'), 0)
  const [long, short] = [topic, 'a'].map((name) => questionOf(parseTopicName(name), new Uint8Array(256)))
  assert.equal(long?.length, short?.length)

  const answers = new Answers()
  let stands = true
  for (let asked = 0; asked < 100; asked++) {
    const request = { device: device('d1'), question: `${asked}`, rule: 'asker/ask', stands: () => stands }
    answers.give(request, renderPolicy(parsePolicy(policyWith(), 'policy.yaml'), d2))
  }
  assert.equal(answers.size, 64)
  answers.sweep()
  assert.equal(answers.size, 64)
  stands = false
  answers.sweep()
  assert.equal(answers.size, 0)
})

const d2 = { id: device('d2'), tier: 'tpm', labels: {} } as const

const refused = 0x87

interface Scene {
  readonly world: World
  readonly asker: RawClient
  readonly answerer: RawClient
}

async function open(t: TestContext, more = ''): Promise<Scene> {
  const world = await makeWorld(t, { policy: policyWith(more) })
  const lasting = { clean: false, properties: { sessionExpiryInterval: 60 } }
  const [asker, answerer] = [await join(world, 'd1', 5), await join(world, 'd2', 5, lasting)]
  await subscribe(asker, ['answers/d1/#', 1])
  await subscribe(answerer, ['ask/d2', 1])
  return { world, asker, answerer }
}

let lastId = 0

/** The reason code of its PUBACK. */
async function say(client: RawClient, topic: string, data: string, properties: object, more: object): Promise<number> {
  const nth = client.all('puback').length + 1
  client.send(publishPacket(topic, data, { qos: 1, messageId: ++lastId, properties, ...more }))
  return (await client.next('puback', nth)).reasonCode ?? 0
}

function ask(client: RawClient, topic: string, responseTopic: string, data: string, more: object = {}) {
  return say(client, topic, data, { responseTopic, correlationData: Buffer.from(data) }, more)
}

function answer(client: RawClient, topic: string, data: string, more: object = {}) {
  return say(client, topic, data, { correlationData: Buffer.from(data) }, more)
}
