import assert from 'node:assert/strict'
import test from 'node:test'
import { actOf } from '../../../cli/replay/act.js'

const asRecorded = { prefix: '', denied: false }
const record = (event: string, fields: object) => ({ sequence: 7, time: '2026-03-01T12:00:00.000Z', event, ...fields })
const published = { topic: 'a/b', decision: 'allow', qos: 1, retain: true, size: 3, action: 'publish' }

test('only what the device did is done again, and of that what policy allowed', () => {
  const does = (event: string, fields: object = {}) => actOf(record(event, fields), asRecorded)?.does
  assert.equal(does('session.connect'), 'connect')
  assert.equal(does('session.end'), 'end')
  assert.equal(does('message.publish', published), 'publish')
  assert.equal(does('message.publish', { ...published, action: 'will' }), 'publish')
  assert.equal(does('message.publish', { ...published, decision: 'deny' }), 'nothing')
  assert.equal(does('message.subscribe', { topic: 'a/#', decision: 'allow', qos: 2 }), 'subscribe')
  assert.equal(does('message.subscribe', { topic: 'a/#', decision: 'deny' }), 'nothing')
  assert.equal(does('message.unsubscribe', { topic: 'a/#' }), 'unsubscribe')
  for (const event of ['message.deliver', 'message.drop', 'session.kick', 'something.new'])
    assert.equal(does(event, published), undefined, event)
})

test('what was refused is done again where one asks for it, but for what names no topic', () => {
  const also = { prefix: '', denied: true }
  const denied = { ...published, decision: 'deny', reason: 'no_rule' }
  assert.equal(actOf(record('message.publish', denied), also)?.does, 'publish')
  const uncounted = actOf(record('message.publish', { ...denied, topic: '', count: 900 }), also)
  assert.deepEqual(uncounted, { does: 'nothing', why: 'no_topic' })
  const subscribed = actOf(record('message.subscribe', { topic: 'a/#', decision: 'deny' }), also)
  assert.deepEqual(subscribed, { does: 'subscribe', filter: 'a/#', qos: 0 })
})

test('a prefix is a level before topics, and within a group before what it shares', () => {
  const prefixed = { prefix: 'replay/', denied: false }
  const filterOf = (topic: string) => actOf(record('message.subscribe', { topic, decision: 'allow', qos: 1 }), prefixed)
  const message = { sequence: 7, topic: 'replay/a/b', qos: 1, retain: true, size: 3 }
  assert.deepEqual(actOf(record('message.publish', published), prefixed), { does: 'publish', message })
  assert.deepEqual(filterOf('+/#'), { does: 'subscribe', filter: 'replay/+/#', qos: 1 })
  assert.deepEqual(filterOf('$share/g/a/#'), { does: 'subscribe', filter: '$share/g/replay/a/#', qos: 1 })
  assert.deepEqual(filterOf('$share/g'), { does: 'subscribe', filter: 'replay/$share/g', qos: 1 })
})

test('a topic that the log has shortened, or that becomes too long, is not sent under another name', () => {
  const why = (topic: string, prefix = '') =>
    actOf(record('message.publish', { ...published, topic }), { prefix, denied: false })
  const shortened = `${'x'.repeat(256)}… [2000 bytes, SHA-256 ${'ab'.repeat(32)}]`
  assert.deepEqual(why(shortened), { does: 'nothing', why: 'shortened' })
  assert.deepEqual(why('é'.repeat(512), `${'p'.repeat(65_000)}/`), { does: 'nothing', why: 'too_long' })
  assert.equal(why('é'.repeat(512))?.does, 'publish')
})
