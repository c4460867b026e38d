import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { Packet } from 'mqtt-packet'
import type { BrokerLimits } from '#broker'
import { makeWorld, publishPacket, type RawClient, until, type World } from '../harness.js'

/* What the tests of this folder share. They speak over TLS, packet by packet, and docs/mqtt-conformance.md names them. */

export type Level = 4 | 5

/** One test for each version of the protocol, where both ask for the same. */
export function atBothLevels(title: string, run: (t: TestContext, level: Level) => Promise<void>): void {
  for (const [level, version] of [
    [4, 'MQTT 3.1.1'],
    [5, 'MQTT 5'],
  ] as const) {
    test(`${title} (${version})`, (t) => run(t, level))
  }
}

/** Policy stands in nobody's way but below `denied/`. */
const policy = `
apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: conformance, version: 1 }
roles:
  device:
    sessions: { max: 5 }
    allow:
      - { id: all, actions: [publish, will], topics: ["#", "$data/#"], qos: { max: 2 }, retain: true }
      - { id: hear, actions: [subscribe, receive], topics: ["#", "$data/#"], qos: { max: 2 } }
      - { id: share, actions: [subscribe, receive], topics: ["$share/g/#", "$share/h/#"], qos: { max: 2 } }
    deny:
      - { id: secret, actions: [publish, will, subscribe], topics: ["denied/#"] }
bindings:
  - { role: device, match: { labels: { kind: device } } }
`

export function makeOpenWorld(t: TestContext, limits: Partial<BrokerLimits> = {}): Promise<World> {
  return makeWorld(t, { policy, limits })
}

type Connect = Partial<Extract<Packet, { cmd: 'connect' }>>

/** A client of the device, or of one of its sessions (`d1~a`), whose CONNECT was accepted. */
export async function join(world: World, clientId: string, level: Level, more: Connect = {}): Promise<RawClient> {
  const [device = clientId] = clientId.split('~')
  const client = await world.raw(device, {}, level)
  const connack = await client.connect(clientId, more)
  assert.equal(codeOf(connack), 0)
  return client
}

/** For CONNECT: a session that outlives its connection. */
export function lasting(level: Level): Connect {
  return { clean: false, ...(level === 5 && { properties: { sessionExpiryInterval: 3600 } }) }
}

export function codeOf(connack: Extract<Packet, { cmd: 'connack' }>): number | undefined {
  return connack.returnCode ?? connack.reasonCode
}

let lastId = 0x8000

/** Sends the messages, in order and each with an identifier of its own, and waits until the last one is acknowledged. */
export async function publishAll(client: RawClient, ...messages: readonly (readonly [string, string, object?])[]) {
  const before = client.all('puback').length
  // Messages of one publisher are routed in order: when this one is acknowledged, all before it have been handed on.
  const all = [...messages, ['last/one', 'x', { qos: 1 }] as const]
  client.send(...all.map(([topic, payload, more]) => publishPacket(topic, payload, { messageId: ++lastId, ...more })))
  const acknowledged = messages.filter(([, , more]) => more && 'qos' in more && more.qos === 1).length
  await client.next('puback', before + acknowledged + 1)
}

/** Subscribes and waits for the answer. */
export async function subscribe(client: RawClient, ...filters: readonly (readonly [string, 0 | 1 | 2, object?])[]) {
  const nth = client.all('suback').length + 1
  client.send({
    cmd: 'subscribe',
    messageId: ++lastId,
    subscriptions: filters.map(([topic, qos, more]) => ({ topic, qos, ...more })),
  })
  return client.next('suback', nth)
}

/** Ends the network connection and waits until the service has seen it. */
export async function cut(world: World, client: RawClient): Promise<void> {
  const before = world.records('session.end').length
  client.socket.destroy()
  await client.closed
  await until(() => world.records('session.end').length > before)
}

/** The payloads that came, in order. */
export function heard(client: RawClient): readonly string[] {
  return client.all('publish').map(({ payload }) => payload.toString())
}
