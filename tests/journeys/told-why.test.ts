import assert from 'node:assert/strict'
import test from 'node:test'
import { enroll, openStage, searchAudit } from './world.js'

test('the agent tells its user which right was missing, in the broker’s words', async (t) => {
  const stage = await openStage(t)
  const thermo = await enroll(stage, 'thermo-1')

  for (const qos of ['1', '2']) {
    const spoken = await thermo.tries('publish', 'devices/gateway-1/state', 'x', '--qos', qos)
    assert.equal(spoken.exitCode, 4)
    assert.match(
      spoken.stderr,
      /the broker refused: publish devices\/gateway-1\/state: nothing allows it \[BROKER_REFUSED\]/,
    )
  }
  const unanswered = await thermo.tries('publish', 'devices/gateway-1/state', 'x', '--qos', '0')
  assert.equal(unanswered.exitCode, 4)
  assert.match(unanswered.stderr, /publish devices\/gateway-1\/state: nothing allows it \[SESSION_ENDED\]/)
  const kept = await thermo.tries('publish', 'devices/thermo-1/telemetry/t', 'x', '--retain')
  assert.match(kept.stderr, /devices\/thermo-1\/telemetry\/t: retaining is not granted \(device\/telemetry\)/)
  const heard = await thermo.tries('subscribe', 'devices/+/cmd/#')
  assert.equal(heard.exitCode, 4)
  assert.match(heard.stderr, /subscribe devices\/\+\/cmd\/#: what is allowed does not cover the whole filter/)
  assert.equal((await thermo.tries('publish', 'devices/thermo-1/state', 'x', '--qos', '3')).exitCode, 2)
})

test('at QoS 0 the agent does not claim that a message was let through', async (t) => {
  const stage = await openStage(t)
  const thermo = await enroll(stage, 'thermo-1')
  const sent = await thermo.tries('publish', 'devices/thermo-1/telemetry/t', '21.5', '--qos', '0')
  assert.equal(sent.exitCode, 0)
  assert.match(sent.stderr, /^sent, not confirmed/m)
  const [record] = await searchAudit(stage, '--event', 'message.publish')
  assert.equal(record?.decision, 'allow') // it was dealt with before the agent ended
})

test('at QoS 2 a message goes from one agent to another exactly once, and finds one that comes later when retained', async (t) => {
  const stage = await openStage(t)
  const thermo = await enroll(stage, 'thermo-1')
  const gateway = await enroll(stage, 'gateway-1', 'role=gateway')
  const listening = gateway.starts('subscribe', 'devices/+/telemetry/#', '--qos', '2')
  await listening.line((line) => line.startsWith('subscribed'))
  for (const degrees of ['21', '22', '23']) {
    await thermo.does('publish', 'devices/thermo-1/telemetry/t', degrees, '--qos', '2')
  }
  await listening.line((line) => line.endsWith(' 23'))
  const heard = listening.lines.filter((line) => line.startsWith('devices/'))
  assert.deepEqual(
    heard.map((line) => line.split(' ')[1]),
    ['21', '22', '23'],
  )
  await thermo.does('publish', 'devices/thermo-1/state', 'on', '--qos', '2', '--retain')
  assert.match(await gateway.does('subscribe', 'devices/+/state', '--count', '1', '--timeout', '60'), /state on$/m)
})

test('who is revoked while connected is told that an operator ended it', async (t) => {
  const stage = await openStage(t)
  const thermo = await enroll(stage, 'thermo-1')
  const listening = thermo.starts('subscribe', 'devices/thermo-1/cmd/#')
  await listening.line((line) => line.startsWith('subscribed'))
  await stage.operator('devices', 'revoke', 'thermo-1', '--reason', 'keyCompromise')
  assert.equal(await listening.ended, 4)
  assert.match(listening.lines.at(-1) ?? '', /ended the session: an operator ended it: .* \[SESSION_ENDED\]/)
})
