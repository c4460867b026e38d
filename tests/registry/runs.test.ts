import assert from 'node:assert/strict'
import test from 'node:test'
import { type AttestationResult, type CertificateFacts, type DeviceId, parseRunName } from '#protocol'
import { createMemoryStore } from '#store'
import type { Registry, RunJoin } from '#registry'
import { by, certificateFor, createWorld, fromLog, hash, hour, profile, type World } from './world.js'

const anchor = { kind: 'oidc', hash: hash('run 7') } as const

test('whatever crashed between the records of a run, the same keys get the rest, and others get nothing', async () => {
  for (const kept of [1, 2, 3, 4]) {
    const world = await createWorld()
    await join(world, world.registry, runOf(world, ['a', 'b', 'c']))
    const registry = await world.open({
      store: createMemoryStore(),
      replay: (from) => fromLog(world.audit.records.slice(0, kept), from),
    })
    assert.equal(registry.devices().length, kept - 1)
    const others = { ...runOf(world, ['d']), jobToken: hash('token of a,b,c') }
    assert.throws(() => registry.runs.plan(others), { code: 'TOKEN_SPENT' })
    const again = runOf(world, ['c', 'b', 'a'])
    const kinds = registry.runs.plan(again).devices.map(({ kind }) => kind)
    assert.equal(kinds.filter((kind) => kind === 'repeat').length, kept - 1)
    await join(world, registry, again)
    assert.deepEqual(names(registry), ['sim.r7.0', 'sim.r7.1', 'sim.r7.2'])
    const keys = registry.devices().flatMap(({ instances }) => instances.flatMap((id) => registry.certificatesOf(id)))
    assert.deepEqual(keys.map(({ spkiHash }) => spkiHash).toSorted(), [hash('a'), hash('b'), hash('c')].toSorted())
  }
})

test('a run of one issuer is not that of another with the same name', async () => {
  const world = await createWorld()
  await join(world, world.registry, runOf(world, ['a']))
  const foreign = { ...runOf(world, ['b']), anchor: { ...anchor, hash: hash('another run 7') } }
  assert.throws(() => world.registry.runs.plan(foreign), { code: 'ID_TAKEN' })
})

test('a run that has changed while its certificates were signed is looked at again', async () => {
  const world = await createWorld()
  const [one, other] = [runOf(world, ['a']), runOf(world, ['b'])]
  const plan = world.registry.runs.plan(one)
  await join(world, world.registry, other)
  await assert.rejects(world.registry.runs.record(plan, signed(world, plan), {}), { code: 'CONFLICT' })
  await join(world, world.registry, one)
  assert.deepEqual(names(world.registry), ['sim.r7.0', 'sim.r7.1'])
})

test('a device that has been revoked ends its part in the run, and one that joined another way outlives it', async () => {
  const world = await createWorld()
  const run = runOf(world, ['a', 'b'])
  await join(world, world.registry, run)
  const [first, second] = world.registry.devices().map(({ id }) => id)
  assert.ok(first && second)
  await world.registry.revokeDevice(first, { reason: 'unspecified', ...by }).done
  assert.throws(() => world.registry.runs.plan(run), { code: 'DEVICE_REVOKED' })
  world.clock.now += hour
  assert.deepEqual(await world.registry.runs.forgetDue(), [first, second])
  assert.deepEqual(await world.registry.runs.forgetDue(), [])
  assert.equal(world.registry.locks.keepsOut(first), false, 'nobody of that name is known')
})

test('tokens are forgotten when they could not be shown any more', async () => {
  const world = await createWorld()
  await join(world, world.registry, runOf(world, ['a']))
  world.clock.now += 2 * hour
  await world.registry.runs.forgetDue()
  const keys: string[] = []
  for await (const [key] of world.store.entries('registry/')) keys.push(key)
  assert.deepEqual(keys, ['registry/applied'])
})

/** A job's join with these keys; its token is named after them. */
function runOf(world: World, keys: readonly string[]): RunJoin {
  const attestations = keys.map((key) => {
    const proven = { spki: new TextEncoder().encode(key), spkiHash: hash(key), binding: 'none' }
    return { profile, tier: 'oidc-sim', anchor, ...proven } as AttestationResult
  })
  const name = keys.toSorted().join(',')
  return {
    ...{ anchor, profile, attestations, labels: { site: 'ci' }, most: 10 },
    run: parseRunName('r7'),
    issuerUrl: 'https://issuer.example',
    subject: 'job',
    jobToken: hash(`token of ${name}`),
    tokenNotAfter: world.clock.now + hour,
    keySet: hash(name),
  }
}

async function join(world: World, registry: Registry, run: RunJoin): Promise<void> {
  const plan = registry.runs.plan(run)
  await registry.runs.record(plan, signed(world, plan), { peer: '192.0.2.7' })
}

function signed(
  world: World,
  { devices }: ReturnType<Registry['runs']['plan']>,
): ReadonlyMap<DeviceId, CertificateFacts> {
  const issues = devices.filter((device) => device.kind === 'issue')
  return new Map(
    issues.map(({ device, attestation }) => {
      const certificate = certificateFor(world, attestation.spkiHash, 'oidc-sim')
      return [device, { ...certificate, notAfter: world.clock.now + hour }]
    }),
  )
}

function names(registry: Registry): readonly string[] {
  return registry
    .devices()
    .map(({ id }) => id)
    .toSorted()
}
