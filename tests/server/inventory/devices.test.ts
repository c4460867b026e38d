import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import {
  type DeviceId,
  type DevicePage,
  type DeviceView,
  type ExpectedDevice,
  type ImportDevicesAnswer,
  parseDeviceId,
  parseFingerprint,
  parseLockId,
  type Problem,
  type SessionView,
} from '#protocol'
import { policyFor } from '../policies.js'
import { by, type Client, createWorld } from '../world.js'

const hour = 3_600_000

test('devices are found by what they are, how they stand and when they were seen', async (t) => {
  const { world, found } = await openWorld(t)
  await world.registry.labelDevice(parseDeviceId('pump-1'), { site: 'oslo', line: '4' }, by)
  world.sessions.push(sessionOf('pump-2'))
  world.heard.set(parseDeviceId('pump-3'), world.clock.now - 2 * hour)
  lock(world, 'pump-4', 'lock')
  world.registry.revokeDevice(parseDeviceId('pump-5'), { reason: 'superseded', ...by })
  const questions: readonly (readonly [query: string, ...ids: string[]])[] = [
    ['', 'pump-1', 'pump-2', 'pump-3', 'pump-4', 'pump-5', 'valve-1'],
    ['label.site=oslo', 'pump-1'],
    ['label.site=os* label.line=4', 'pump-1'],
    ['id:valve*', 'valve-1'],
    ['is:online', 'pump-2'],
    ['is:offline id:pump*', 'pump-1', 'pump-3', 'pump-4', 'pump-5'],
    ['is:locked', 'pump-4'],
    ['is:revoked', 'pump-5'],
    ['-is:registered', 'pump-5'],
    ['seen:<1h', 'pump-2'],
    ['seen:>1h', 'pump-3'],
    ['-seen:never', 'pump-2', 'pump-3'],
    ['cert:none -id:pump*', 'valve-1'],
    ['cert:<7d'],
    ['tier:tpm'],
    ['profile:default is:online', 'pump-2'],
  ]
  for (const [query, ...ids] of questions) assert.deepEqual(await found(query), ids, query)
  for (const wrong of ['is:blue', 'cert:soon', 'tier:gold', 'site=oslo', 'model:'])
    assert.equal(await found(wrong), 'QUERY_INVALID')
})

test('a view says when a device was last seen, and what keeps it back', async (t) => {
  const { world, ada } = await openWorld(t)
  world.heard.set(parseDeviceId('pump-3'), world.clock.now - hour)
  world.sessions.push(sessionOf('pump-2'))
  lock(world, 'pump-4', 'lock')
  const view = async (id: string) => (await world.call('getDevice', ada, { id })).json() as DeviceView
  assert.equal((await view('pump-1')).seen, undefined)
  assert.equal((await view('pump-2')).seen, new Date(world.clock.now).toISOString())
  assert.equal((await view('pump-3')).seen, new Date(world.clock.now - hour).toISOString())
  assert.equal((await view('pump-4')).standing, 'locked')
})

test('pages follow one another in every order, with nobody twice and nobody left out', async (t) => {
  const { world, page } = await openWorld(t)
  world.heard.set(parseDeviceId('pump-3'), 2000)
  world.heard.set(parseDeviceId('pump-1'), 3000)
  world.sessions.push(sessionOf('valve-1'))
  const orders = {
    id: ['pump-1', 'pump-2', 'pump-3', 'pump-4', 'pump-5', 'valve-1'],
    seen: ['pump-3', 'pump-1', 'valve-1', 'pump-2', 'pump-4', 'pump-5'],
    '-seen': ['valve-1', 'pump-1', 'pump-3', 'pump-2', 'pump-4', 'pump-5'],
    cert: ['pump-1', 'pump-2', 'pump-3', 'pump-4', 'pump-5', 'valve-1'],
  }
  for (const [order, expected] of Object.entries(orders)) {
    for (const limit of ['1', '2', '4', '6', '1000']) {
      const ids: string[] = []
      let after: string | undefined
      do {
        const { devices, count, next } = await page({ order, limit, ...(after !== undefined && { after }) })
        assert.equal(count, 6)
        ids.push(...devices.map(({ id }) => id))
        after = next
        world.clock.now += 1000 // who is connected is seen later at each page
      } while (after !== undefined)
      assert.deepEqual(ids, expected, `${order} by ${limit}`)
    }
  }
})

test('what was registered between two pages does not move the others', async (t) => {
  const { world, page } = await openWorld(t)
  const first = await page({ limit: '2' })
  await world.device('a-first')
  await world.device('pump-2b')
  const second = await page({ limit: '2', after: first.next ?? '' })
  assert.deepEqual(idsOf(second), ['pump-2b', 'pump-3'])
  assert.equal(second.count, 8)
})

test('an operator of one site sees, and counts, only what is there', async (t) => {
  const { world, ada } = await openWorld(t)
  const bob = await world.operator('bob')
  const policy = policyFor(['devices.read'], { labels: { site: 'oslo' } }, world.policy.view.version + 1)
  await world.call('applyPolicy', ada, { body: policy, type: 'application/yaml' })
  await world.registry.labelDevice(parseDeviceId('pump-1'), { site: 'oslo' }, by)
  const answer = await world.call('listDevices', bob, { query: `?q=${encodeURIComponent('-label.site=rome')}` })
  const page = answer.json() as DevicePage
  assert.deepEqual([idsOf(page), page.count], [['pump-1'], 1])
})

test('what no page gave, and no limit is, is refused', async (t) => {
  const { world, ada } = await openWorld(t)
  for (const query of [
    '?limit=0',
    '?limit=1001',
    '?limit=-1',
    '?order=name',
    '?limit=1&limit=2',
    `?q=${'a'.repeat(1025)}`,
  ]) {
    assert.equal((await world.call('listDevices', ada, { query })).status, 400, query)
  }
  for (const after of ['x', '~', '0~a%2Fb', '0~', 'NaN~a', `${'9'.repeat(17)}~a`]) {
    const answer = await world.call('listDevices', ada, { query: `?after=${after}` })
    assert.deepEqual([answer.status, (answer.json() as Problem).code], [400, 'QUERY_INVALID'], after)
  }
})

test('many devices are registered in one request, each with its own record, and again it is no change', async (t) => {
  const { world, ada, importing } = await openWorld(t)
  const devices = [expected('new-1', 1), { ...expected('new-2', 2, 'idevid'), labels: { site: 'oslo' } }]
  assert.deepEqual(await importing({ devices, dryRun: true }), {
    dryRun: true,
    registered: 2,
    unchanged: 0,
    refused: [],
  })
  assert.equal(world.registry.device(parseDeviceId('new-1')), undefined)
  const body = { devices, comment: 'order 4711' }
  assert.deepEqual(await importing(body), { dryRun: false, registered: 2, unchanged: 0, refused: [] })
  assert.deepEqual(await importing(body), { dryRun: false, registered: 0, unchanged: 2, refused: [] })
  const view = (await world.call('getDevice', ada, { id: 'new-2' })).json() as DeviceView
  assert.deepEqual([view.labels, view.anchors], [{ site: 'oslo' }, [devices[1]?.anchor]])
  const records = world.audit.records.filter(
    (record) => record.event === 'device.register' && /^new/.test(record.device),
  )
  assert.deepEqual(
    records.map((record) => record.event === 'device.register' && [record.device, record.operator, record.comment]),
    [
      ['new-1', 'ada', 'order 4711'],
      ['new-2', 'ada', 'order 4711'],
    ],
  )
})

test('where one cannot be registered none is, unless the others are asked for', async (t) => {
  const { world, importing } = await openWorld(t)
  await importing({ devices: [expected('old-1', 1)] })
  world.registry.revokeDevice(parseDeviceId('pump-5'), { reason: 'superseded', ...by })
  const devices = [
    expected('new-1', 11),
    expected('old-1', 12),
    { ...expected('old-1', 1), labels: { site: 'rome' } },
    expected('new-2', 1),
    expected('new-1', 13),
    expected('new-3', 11),
    expected('pump-5', 14),
  ]
  const refusals = async (body: object) => {
    const { registered, refused } = await importing({ devices, ...body })
    return [registered, refused.map(({ at, field, code }) => `${at} ${field} ${code}`)]
  }
  const wrong = ['1 id ID_TAKEN', '2 id ID_TAKEN', '3 anchor ANCHOR_TAKEN', '4 id ID_TAKEN']
  const all = [1, [...wrong, '5 anchor ANCHOR_TAKEN', '6 id DEVICE_REVOKED']]
  assert.deepEqual(await refusals({}), all)
  assert.equal(world.registry.device(parseDeviceId('new-1')), undefined)
  assert.deepEqual(await refusals({ skipInvalid: true }), all)
  assert.equal(world.registry.device(parseDeviceId('new-1'))?.state, 'registered')
})

test('what the log has in reserve on a full disk is not spent on many devices', async (t) => {
  const { world, ada } = await openWorld(t)
  world.audit.setFull(true)
  const answer = await world.call('importDevices', ada, { body: { devices: [expected('new-1', 1)] } })
  assert.deepEqual([answer.status, (answer.json() as Problem).code], [503, 'AUDIT_FULL'])
  assert.equal(world.registry.device(parseDeviceId('new-1')), undefined)
  world.audit.setFull(false)
  assert.equal((await world.call('importDevices', ada, { body: { devices: [expected('new-1', 1)] } })).status, 200)
})

test('nobody registers many devices who may not register each of them', async (t) => {
  const { world, ada } = await openWorld(t)
  const bob = await world.operator('bob')
  const policy = policyFor(['devices.register'], { labels: { site: 'oslo' } }, world.policy.view.version + 1)
  assert.equal((await world.call('applyPolicy', ada, { body: policy, type: 'application/yaml' })).status, 200)
  const devices = [
    { ...expected('new-1', 1), labels: { site: 'oslo' } },
    { ...expected('new-2', 2), labels: { site: 'rome' } },
  ]
  assert.equal((await world.call('importDevices', bob, { body: { devices } })).status, 403)
  assert.equal((await world.call('importDevices', bob, { body: { devices, dryRun: true } })).status, 403)
  assert.equal(world.registry.device(parseDeviceId('new-1')), undefined)
  assert.equal((await world.call('importDevices', bob, { body: { devices: devices.slice(0, 1) } })).status, 200)
  await world.device('new-3')
  const others = { ...expected('new-3', 3), labels: { site: 'oslo' } }
  assert.equal(
    (await world.call('importDevices', bob, { body: { devices: [others] } })).status,
    403,
    'a name of others',
  )
})

test('a request with too many devices, too many bytes or anything unknown in it is refused as a whole', async (t) => {
  const { world, ada } = await openWorld(t)
  const code = async (body: unknown) => {
    const answer = await world.call('importDevices', ada, { body })
    return (answer.json() as Problem).code
  }
  const many = Array.from({ length: 1001 }, (_, at) => expected(`n-${at}`, at + 100))
  assert.equal(await code({ devices: many }), 'REQUEST_INVALID')
  assert.equal(await code({ devices: [], comment: 'x'.repeat(1024 * 1024) }), 'REQUEST_TOO_LARGE')
  assert.equal(await code({ devices: [{ ...expected('n', 1), role: 'x' }] }), 'REQUEST_INVALID')
  assert.equal(
    await code({ devices: [{ ...expected('n', 1), anchor: { kind: 'token', hash: hash(1) } }] }),
    'REQUEST_INVALID',
  )
  assert.equal(world.registry.devices().length, 6)
})

async function openWorld(t: TestContext) {
  const world = await createWorld(t)
  const ada = await world.operator()
  for (const id of ['pump-3', 'pump-1', 'pump-2', 'valve-1', 'pump-5', 'pump-4']) await world.device(id)
  const page = async (query: Readonly<Record<string, string>>, client: Client = ada) => {
    const answer = await world.call('listDevices', client, { query: `?${new URLSearchParams(query).toString()}` })
    assert.equal(answer.status, 200, answer.body)
    return answer.json() as DevicePage
  }
  return {
    ...{ world, ada, page },
    async found(query: string) {
      const answer = await world.call('listDevices', ada, { query: `?q=${encodeURIComponent(query)}` })
      return answer.status === 200 ? idsOf(answer.json() as DevicePage) : (answer.json() as Problem).code
    },
    async importing(body: object) {
      const answer = await world.call('importDevices', ada, { body })
      assert.equal(answer.status, 200, answer.body)
      return answer.json() as ImportDevicesAnswer
    },
  }
}

function idsOf({ devices }: DevicePage): readonly DeviceId[] {
  return devices.map(({ id }) => id)
}

function expected(id: string, number: number, kind: 'ek' | 'idevid' = 'ek'): ExpectedDevice {
  return { id: parseDeviceId(id), anchor: { kind, hash: hash(number) } }
}

function hash(number: number) {
  return parseFingerprint(String(number).padStart(64, '0'))
}

function lock(
  { registry }: Awaited<ReturnType<typeof createWorld>>,
  device: string,
  mode: 'lock' | 'quarantine',
): void {
  const target = { device: parseDeviceId(device) }
  registry.addLock({ lock: parseLockId(`lock-${device}`), target, mode, reason: 'x' }, by)
}

function sessionOf(device: string): SessionView {
  const traffic = { in: 0, out: 0 }
  return {
    ...{ session: '00000000000000000001', device: parseDeviceId(device), clientId: device, connected: true },
    ...{ since: '2026-03-01T12:00:00.000Z', peer: '192.0.2.1:1', subscriptions: [], queued: 0, queuedBytes: 0 },
    ...{ rates: traffic, messages: traffic, bytes: traffic },
  }
}
