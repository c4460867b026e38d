import assert from 'node:assert/strict'
import type { Caller, Client, Listening, Qos } from './client.js'

/** What a feature is tried with. */
export interface Fleet {
  readonly client: Client
  /** A word that stands in no other cell's messages. */
  readonly cell: string
  readonly caller: (who: 'sensor' | 'gateway', suffix: string) => Caller
}

type Feature = (fleet: Fleet) => Promise<void>

const telemetry = 'devices/thermo-1/telemetry'
const state = 'devices/thermo-1/state'

export const features = {
  'publishes and subscribes at QoS 0': (fleet) => publishesAndSubscribes(fleet, 0),
  'publishes and subscribes at QoS 1': (fleet) => publishesAndSubscribes(fleet, 1),
  'publishes and subscribes at QoS 2': (fleet) => publishesAndSubscribes(fleet, 2),
  'finds what was retained before it came': findsRetained,
  'leaves a will when it vanishes': leavesWill,
  'leaves no will when it says goodbye': leavesNoWill,
  'finds in its session what came while it was away, in order': findsQueue,
  'divides messages with others of its group': sharesWork,
} as const satisfies Readonly<Record<string, Feature>>

export type FeatureName = keyof typeof features

async function publishesAndSubscribes({ client, cell, caller }: Fleet, qos: Qos): Promise<void> {
  const topic = `${telemetry}/${cell}`
  const listener = await client.listen({ ...caller('gateway', 'ear'), filter: `devices/+/telemetry/${cell}`, qos })
  assert.equal(listener.granted, qos)
  const payloads = ['one', 'two', 'three']
  await client.publish({ ...caller('sensor', 'mouth'), topic, payloads, qos })
  const heard = await listener.hears(3)
  assert.deepEqual(
    heard,
    payloads.map((payload) => ({ topic, payload, qos, retain: false })),
  )
  await listener.leave()
}

async function findsRetained({ client, cell, caller }: Fleet): Promise<void> {
  await client.publish({
    ...caller('sensor', 'mouth'),
    topic: state,
    payloads: [`old ${cell}`, cell],
    qos: 1,
    retain: true,
  })
  const listener = await client.listen({ ...caller('gateway', 'ear'), filter: 'devices/+/state', qos: 1 })
  assert.deepEqual(await listener.hears(1), [{ topic: state, payload: cell, qos: 1, retain: true }])
  await client.publish({ ...caller('sensor', 'mouth'), topic: state, payloads: ['live'], qos: 1, retain: true })
  const [, live] = await listener.hears(2)
  assert.deepEqual(live, { topic: state, payload: 'live', qos: 1, retain: false }) // [MQTT-3.3.1-9]
  await listener.leave()
}

async function leavesWill({ client, cell, caller }: Fleet): Promise<void> {
  const listener = await client.listen({ ...caller('gateway', 'ear'), filter: 'devices/+/state', qos: 1 })
  const [retained] = await listener.hears(1)
  await (await client.listen(dying({ caller, payload: `gone ${cell}` }))).vanish()
  assert.deepEqual(await listener.hears(2), [
    retained,
    { topic: state, payload: `gone ${cell}`, qos: 1, retain: false },
  ])
  await listener.leave()
}

async function leavesNoWill({ client, cell, caller }: Fleet): Promise<void> {
  const listener = await client.listen({ ...caller('gateway', 'ear'), filter: 'devices/+/state', qos: 1 })
  const [retained] = await listener.hears(1)
  await (await client.listen(dying({ caller, payload: `gone ${cell}` }))).leave()
  await client.publish({ ...caller('sensor', 'mouth'), topic: state, payloads: [cell], qos: 1 })
  assert.deepEqual(await listener.hears(2), [retained, { topic: state, payload: cell, qos: 1, retain: false }])
  await listener.leave()
}

/** A sensor with a will. */
function dying({ caller, payload }: Pick<Fleet, 'caller'> & { readonly payload: string }): Listening {
  return {
    ...caller('sensor', 'heart'),
    filter: 'devices/thermo-1/cmd/#',
    qos: 0,
    will: { topic: state, payload },
  }
}

async function findsQueue({ client, cell, caller }: Fleet): Promise<void> {
  const topic = `${telemetry}/${cell}`
  const kept = { ...caller('gateway', 'kept'), filter: topic, qos: 2 as const }
  await (await client.listen({ ...kept, keep: true })).leave()
  const payloads = Array.from({ length: 10 }, (_, number) => `message ${number}`)
  await client.publish({ ...caller('sensor', 'mouth'), topic, payloads: payloads.slice(0, 5), qos: 1 })
  await client.publish({ ...caller('sensor', 'mouth'), topic, payloads: payloads.slice(5), qos: 2 })
  const back = await client.listen({ ...kept, keep: true })
  const heard = await back.hears(10)
  assert.deepEqual(
    heard.map(({ payload, qos }) => [payload, qos]),
    payloads.map((payload, number) => [payload, number < 5 ? 1 : 2]),
  )
  await back.leave()
  await (await client.listen(kept)).leave() // a clean start, which leaves nothing behind
}

async function sharesWork({ client, cell, caller }: Fleet): Promise<void> {
  const topic = `${telemetry}/${cell}`
  const filter = `$share/workers/devices/+/telemetry/${cell}`
  const one = await client.listen({ ...caller('gateway', 'one'), filter, qos: 1 })
  const other = await client.listen({ ...caller('gateway', 'other'), filter, qos: 1 })
  const payloads = Array.from({ length: 8 }, (_, number) => `piece ${number}`)
  await client.publish({ ...caller('sensor', 'mouth'), topic, payloads, qos: 1 })
  await Promise.all([one.hears(4), other.hears(4)]) // in turn
  const together = [...one.heard, ...other.heard].map(({ payload }) => payload)
  assert.deepEqual(together.sort(), payloads)
  await one.leave()
  await other.leave()
}
