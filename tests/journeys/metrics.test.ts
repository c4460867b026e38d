import assert from 'node:assert/strict'
import test from 'node:test'
import type { SessionView } from '#protocol'
import { readExposition } from '../server/exposition.js'
import { connected, enroll, next, openStage } from './world.js'

test('Prometheus finds in a scrape exactly what devices have said and heard', async (t) => {
  const stage = await openStage(t)
  const scrape = async () => {
    const answer = await fetch(`http://127.0.0.1:${stage.ports.health}/metrics`)
    assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
    const text = await answer.text()
    assert.doesNotMatch(text, /pump-1|gateway-1|127\.0\.0\.1/)
    const samples = readExposition(text)
    return (name: string) => samples.get(`touchmark_${name}`)
  }
  const pump = await enroll(stage, 'pump-1')
  const gateway = await enroll(stage, 'gateway-1', 'role=gateway')
  const speaker = await connected(t, stage, pump, { clientId: 'pump-1~pub', protocolVersion: 5 })
  const listener = await connected(t, stage, gateway, { clientId: 'gateway-1~sub' })
  await listener.subscribeAsync('devices/+/telemetry/#', { qos: 1 })
  let heard = 0
  const all = new Promise<void>((resolve) => listener.on('message', () => ++heard === 5 && resolve()))
  for (let n = 0; n < 5; n++) await speaker.publishAsync('devices/pump-1/telemetry/t', String(n), { qos: 1 })
  await all
  // Refused, which MQTT 5 says in the answer; the connection stays.
  await assert.rejects(speaker.publishAsync('devices/other/telemetry/t', 'x', { qos: 1 }))

  const during = await scrape()
  assert.equal(during('messages_received_total{qos="1"}'), 6)
  assert.equal(during('messages_sent_total{qos="1"}'), 5)
  assert.equal(during('decisions_total{action="publish",effect="allow",reason=""}'), 5)
  assert.equal(during('decisions_total{action="publish",effect="deny",reason="no_rule"}'), 1)
  assert.equal(during('decisions_total{action="receive",effect="allow",reason=""}'), 5)
  assert.equal(during('sessions_connected{protocol="5",transport="tls"}'), 1)
  assert.equal(during('sessions_connected{protocol="3.1.1",transport="tls"}'), 1)
  assert.equal(during('connects_total{protocol="5",transport="tls"}'), 1)
  assert.equal(during('subscriptions'), 1)
  assert.equal(during('devices_active'), 2)
  assert.ok((during('received_bytes_total') ?? 0) > 0 && (during('sent_bytes_total') ?? 0) > 0)
  assert.ok((during('decision_seconds_count{action="publish"}') ?? 0) >= 1)
  const views = await stage.ask<SessionView[]>('sessions', 'ls')
  const said = views.map(({ protocol, transport, messages }) => [protocol, transport, messages.in, messages.out])
  assert.deepEqual(said.toSorted(), [
    ['3.1.1', 'tls', 0, 5],
    ['5', 'tls', 6, 0],
  ])
  assert.equal(views.find(({ device }) => device === 'pump-1')?.lastRefusal?.reason, 'no_rule')

  const closed = next(speaker, 'close')
  await stage.operator('sessions', 'kick', 'pump-1~pub')
  await closed
  const after = await scrape()
  assert.equal(after('session_ends_total{reason="kicked"}'), 1)
  assert.equal(after('sessions_connected{protocol="5",transport="tls"}'), 0)
})
