import assert from 'node:assert/strict'
import { atBothLevels, heard, subscribe } from '../conformance/peer.js'
import { makeWorld, policySource, publishPacket } from '../harness.js'

/* Attack cases 17 to 19: topics that only look like one's own. */

const tried = [
  [17, 'the topic of another device', ['f/d2/telemetry', 'f/d2', 'f/d11/x', 'f/d/x']],
  [
    18,
    'a path that would lead to another device',
    ['f/d1/../d2', '../f/d1/x', 'f/./d1/x', 'f/d1\\..\\d2/x', 'f/%64%31/x'],
  ],
  [19, 'slashes before, between and behind', ['/f/d1/x', 'f//d1/x', '//f/d1/x', 'f/ d1/x', 'f/d1 /x']],
] as const

for (const [number, what, topics] of tried) {
  atBothLevels(`case ${number}: ${what} is only what stands there, level by level`, async (t, level) => {
    const world = await makeWorld(t, { policy: policySource('onDenyPublish: drop') })
    const [victim, speaker] = [await world.raw('d2', {}, level), await world.raw('d1', {}, level)]
    await victim.connect('d2')
    await subscribe(victim, ['f/d2/#', 1])
    await speaker.connect('d1')
    await subscribe(speaker, ['f/d1/#', 1])
    speaker.send(...topics.map((topic, at) => publishPacket(topic, 'x', { qos: 1, messageId: at + 1, retain: true })))
    await speaker.next('puback', topics.length)
    await victim.ping()
    const granted = topics.filter((topic) => topic.startsWith('f/d1/')) // `..` is a level like any other
    assert.deepEqual(
      world.records('message.publish').map(({ topic, decision, reason }) => [topic, decision, reason]),
      topics.map((topic) => (granted.includes(topic) ? [topic, 'allow', undefined] : [topic, 'deny', 'no_rule'])),
    )
    assert.deepEqual([heard(victim), heard(speaker).length], [[], granted.length])
    assert.equal(world.broker.levels().retainedMessages, granted.length)
  })
}

atBothLevels('case 19: what is below one’s own topic is kept apart to the last slash', async (t, level) => {
  const world = await makeWorld(t)
  const client = await world.raw('d1', {}, level)
  await client.connect('d1')
  await subscribe(client, ['f/d1/x', 1])
  const topics = ['f/d1/x/', 'f/d1//x', 'f/d1/', 'f/d1/x']
  client.send(...topics.map((topic, at) => publishPacket(topic, topic, { qos: 1, messageId: at + 1 })))
  await client.next('puback', topics.length)
  await client.ping()
  assert.deepEqual(heard(client), ['f/d1/x'])
})
