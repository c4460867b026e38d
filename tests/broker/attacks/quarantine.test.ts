import assert from 'node:assert/strict'
import test from 'node:test'
import { Broker } from '#broker'
import { createMemoryAudit } from '#audit'
import { createMemoryStore, type Store } from '#store'
import { parsePolicy, renderPolicy } from '#policy'
import { readDeviceIdentity } from '#x509'
import { cut, join, lasting, makeOpenWorld, publishAll, subscribe } from '../conformance/peer.js'
import { policySource, publishPacket, trustDomain } from '../harness.js'

/*
 * A damaged row: the session that it belongs to is put aside as a whole and reported, and every other one is served.
 * What was promised is kept, or the client learns by session present 0 that it was not.
 */

type Rows = ReadonlyMap<string, Uint8Array>

test('whichever byte of whichever row is damaged, its owner is put aside as a whole, reported, and nobody else', async (t) => {
  const rows = await makeRows(t)
  const kinds = new Set([...rows.keys()].map((key) => key.split('/')[1]))
  assert.deepEqual([...kinds].sort(), ['queue', 'received', 'retained', 'session', 'subscription', 'will'])
  for (const [damagedKey, row] of rows) {
    for (const damaged of damagedForms(row)) {
      const store = await storeOf(new Map([...rows, [damagedKey, damaged]]))
      const { broker, audit } = await openBroker(store)
      const isOwn = (key: string) => ownerOf(key) === ownerOf(damagedKey)
      const kept = [...rows.keys()].filter((key) => !isOwn(key))
      const aside = [...rows.keys()].filter(isOwn).map((key) => key.replace('broker/', 'broker/quarantine/'))
      assert.deepEqual(await keysOf(store), [...kept, ...aside].sort())
      const reports = audit.records.filter(({ event }) => event === 'store.quarantine')
      assert.deepEqual(
        reports.map((report) => [
          'clientId' in report ? report.clientId : undefined,
          'count' in report ? report.count : undefined,
        ]),
        [[damagedKey.startsWith('broker/retained/') ? undefined : ownerOf(damagedKey), aside.length]],
      )
      await broker.closeGracefully()
    }
  }
})

test('rows without their session, and rows under a wrong key, are put aside', async (t) => {
  const rows = await makeRows(t)
  const orphans = new Map([...rows].filter(([key]) => ownerOf(key) === 'd2' && !key.startsWith('broker/session/')))
  assert.ok(orphans.size > 2)
  const store = await storeOf(orphans)
  const { broker } = await openBroker(store)
  assert.deepEqual(broker.sessions(), [])
  assert.ok((await keysOf(store)).every((key) => key.startsWith('broker/quarantine/')))
  await broker.closeGracefully()

  const [one, other] = ['broker/session/d2', 'broker/session/d3']
  const swapped = new Map([...rows, [one, rows.get(other) ?? noBytes], [other, rows.get(one) ?? noBytes]] as const)
  const second = await openBroker(await storeOf(swapped))
  assert.deepEqual(second.broker.sessions(), [])
  await second.broker.closeGracefully()
})

test('the client whose session was put aside learns it by session present 0, and begins anew', async (t) => {
  const world = await makeOpenWorld(t)
  const client = await join(world, 'd2', 5, lasting(5))
  await subscribe(client, ['t/#', 1])
  const bystander = await join(world, 'd3', 5, lasting(5))
  await subscribe(bystander, ['t/#', 1])
  await cut(world, client)
  await cut(world, bystander)
  await world.store.commit({ puts: [['broker/subscription/d2/t/#', Buffer.from('nonsense')]] })
  await world.restart()
  const [report] = world.records('store.quarantine')
  assert.deepEqual([report?.clientId, report?.count], ['d2', 2])
  const again = await world.raw('d2', {}, 5)
  assert.equal((await again.connect('d2', lasting(5))).sessionPresent, false)
  const other = await world.raw('d3', {}, 5)
  assert.equal((await other.connect('d3', lasting(5))).sessionPresent, true)
})

/** Two sessions with rows of every kind, and a retained message, as a service that was killed leaves them. */
async function makeRows(t: test.TestContext): Promise<Rows> {
  const world = await makeOpenWorld(t)
  const speaker = await join(world, 'd1', 4)
  const will = { topic: 't/will', payload: Buffer.from('will'), qos: 1, retain: false } as const
  for (const id of ['d2', 'd3']) {
    const client = await join(world, id, 5, { ...lasting(5), will: { ...will, properties: { willDelayInterval: 99 } } })
    await subscribe(client, ['t/#', 2])
    client.send(publishPacket('v/x', 'received', { qos: 2, messageId: 9 }))
    await client.next('pubrec')
    await cut(world, client)
  }
  await publishAll(speaker, ['t/1', 'kept', { qos: 1, retain: true }])
  const rows = new Map<string, Uint8Array>()
  for await (const [key, row] of world.store.entries('broker/')) rows.set(key, row)
  return rows
}

/** Each byte changed in one bit, in turn; cut short; empty; and longer than it was. */
function* damagedForms(row: Uint8Array): Iterable<Uint8Array> {
  for (let at = 0; at < row.length; at++) {
    const damaged = Uint8Array.from(row)
    damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8))
    yield damaged
  }
  for (const length of [0, 3, 7, row.length - 1]) yield row.slice(0, length)
  yield Uint8Array.from([...row, 0])
}

function ownerOf(key: string): string {
  return key.startsWith('broker/retained/') ? key : (key.split('/')[2] ?? '')
}

async function openBroker(store: Store) {
  const audit = createMemoryAudit()
  const policy = parsePolicy(policySource(), 'policy.yaml')
  const broker = await Broker.open({
    audit,
    store,
    identify: (der) => readDeviceIdentity(der, trustDomain),
    admit: () => ({ admitted: true, state: 'current' }),
    promote: () => Promise.resolve(),
    policyFor: (id) => renderPolicy(policy, { id, tier: 'tpm', labels: { kind: 'device' } }),
    now: Date.now,
  })
  return { broker, audit }
}

async function storeOf(rows: Rows): Promise<Store> {
  const store = createMemoryStore()
  await store.commit({ puts: [...rows] })
  return store
}

/** What is there once the broker has written what it did at its start. */
async function keysOf(store: Store): Promise<readonly string[]> {
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
  const keys: string[] = []
  for await (const [key] of store.entries('broker/')) keys.push(key)
  return keys.sort()
}

const noBytes = new Uint8Array()
