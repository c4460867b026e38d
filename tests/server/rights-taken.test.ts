import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { json, text } from 'node:stream/consumers'
import test, { type TestContext } from 'node:test'
import { parseDeviceId, type Problem, type RouteName, routes } from '#protocol'
import { defaultPolicy } from '#policy'
import { policyFor } from './policies.js'
import { by, type Client, createWorld } from './world.js'

/* What lasts longer than the right to it: requests that come slowly, and answers that take long. */

const oslo = { labels: { site: 'oslo' } }

test('who is revoked while the body of his request is still to come does nothing with it', async (t) => {
  const { world, begin, revoke } = await openWorld(t, ['tokens.create'])
  const slow = await begin('createToken')
  await revoke()
  assert.equal(await codeOf(slow, '{}'), 'OPERATOR_NOT_ADMITTED')
  assert.deepEqual(world.registry.tokens(), [])
  assert.equal(world.refusalsOnRecord().at(-1)?.operator, 'bob')
})

test('nor does one whose right to it is taken, or narrowed, until then', async (t) => {
  const { world, begin, apply } = await openWorld(t, ['operators.invite', 'status.read', 'tokens.create'])
  const [taken, narrowed] = [await begin('inviteOperator'), await begin('createToken')]
  await apply(['tokens.create'], oslo)
  assert.equal(await codeOf(taken, '{"operator":"bob"}'), 'ACT_NOT_ALLOWED')
  assert.equal(await codeOf(narrowed, '{}'), 'ACT_NOT_ALLOWED')
  assert.deepEqual([world.registry.tokens(), world.registry.operators.invitations()], [[], []])
})

test('an answer that takes long ends, and says why, once who reads it may not any more', async (t) => {
  const all = ['audit.read', 'policy.read', 'policy.apply']
  for (const name of ['searchAudit', 'suggestPolicy', 'shadowPolicy'] as const) {
    const { read, revoke } = await openWorld(t, all)
    assert.equal(await read(name, revoke), 'OPERATOR_NOT_ADMITTED', name)
  }
  const lessers = [
    ['searchAudit', ['audit.read'], oslo],
    ['suggestPolicy', ['audit.read'], {}],
    ['suggestPolicy', ['audit.read', 'devices.read'], oslo],
    ['shadowPolicy', ['policy.read'], {}],
  ] as const
  for (const [name, acts, limits] of lessers) {
    const { read, apply } = await openWorld(t, all)
    assert.equal(await read(name, () => apply(acts, limits)), 'ACT_NOT_ALLOWED', `${name} ${String(acts)}`)
  }
})

test('what leaves the scope of who reads the log is in nothing that is still to come', async (t) => {
  let isOver = false
  const about = (device: string) => `${JSON.stringify({ event: 'device.label', device, isLast: isOver })}\n`
  async function* searchAudit(): AsyncGenerator<string, void> {
    while (!isOver) yield about('d1') + about('d2')
    yield about('d1') + about('d2') + '{"event":"server.stop","isLast":true}\n'
  }
  const world = await createWorld(t, { searchAudit })
  const [ada, bob] = [await world.operator(), await world.operator('bob')]
  for (const id of ['d1', 'd2']) await world.registry.labelDevice(await world.device(id), oslo.labels, by)
  const body = policyFor(['audit.read'], oslo)
  assert.equal((await world.call('applyPolicy', ada, { body, type: 'application/yaml' })).status, 200)
  const sending = asking(world, bob, 'searchAudit').end()
  const [response] = (await once(sending, 'response')) as [IncomingMessage]
  await once(response, 'readable')
  await world.registry.labelDevice(parseDeviceId('d1'), { site: 'rome' }, by)
  isOver = true
  const lines = (await text(response)).trimEnd().split('\n')
  const records = lines.map((line) => JSON.parse(line) as { readonly device: string; readonly isLast: boolean })
  assert.deepEqual(new Set(records.map(({ device }) => device)), new Set(['d1', 'd2']))
  assert.deepEqual(
    records.filter(({ isLast }) => isLast).map(({ device }) => device),
    ['d2'],
  )
})

test('the policy that a proposal holds is for those who may read it', async (t) => {
  const { world, bob } = await openWorld(t, ['audit.read'])
  const answer = await world.call('suggestPolicy', bob)
  assert.deepEqual([answer.status, (answer.json() as Problem).code], [403, 'ACT_NOT_ALLOWED'])
})

/** Bob may do something; what there is to find comes for as long as he may, and once more then. */
async function openWorld(t: TestContext, acts: readonly string[]) {
  let isOver = false
  let elapsed = 0
  async function* found(): AsyncGenerator<string, void> {
    while (!isOver) yield '{"event":"server.start"}\n'
    yield '{"event":"server.stop"}\n'
  }
  const world = await createWorld(t, {
    searchAudit: found,
    studyPolicy: ({ leaving: signal }) => ({
      ...{ now: () => 0, elapsed: () => (elapsed += 1), signal },
      inForce: () => world.policy.view,
      read: (source, file) => world.policy.read(source, file),
      ...{ devices: () => [], attributesOf: () => undefined },
      liveSessions: () => [],
      search: ({ limit }) => (limit === undefined ? found() : nothing()),
    }),
  })
  const [ada, bob] = [await world.operator(), await world.operator('bob')]

  async function apply(acts: readonly string[], limits: object = {}): Promise<void> {
    const body = policyFor(acts, limits, world.policy.view.version + 1)
    assert.equal((await world.call('applyPolicy', ada, { body, type: 'application/yaml' })).status, 200)
  }

  await apply(acts)
  return {
    ...{ world, bob, apply },
    async revoke(): Promise<void> {
      assert.equal((await world.call('revokeOperator', ada, { id: 'bob', body: {} })).status, 200)
    },
    /** A request that is let in, as far as it has come: its body is still to be sent. */
    async begin(name: RouteName): Promise<ClientRequest> {
      const sending = asking(world, bob, name, { 'content-type': 'application/json', expect: '100-continue' })
      sending.flushHeaders()
      await once(sending, 'continue')
      return sending
    },
    /** The code with which an answer ends when the right is taken after its beginning. */
    async read(name: RouteName, take: () => Promise<void>): Promise<string | undefined> {
      const sending = asking(world, bob, name, { 'content-type': 'application/yaml' })
      if (routes[name].method === 'GET') sending.end()
      else sending.end(defaultPolicy)
      const [response] = (await once(sending, 'response')) as [IncomingMessage]
      await once(response, 'readable')
      await take()
      isOver = true
      const last = (await text(response)).trimEnd().split('\n').at(-1) ?? ''
      return (JSON.parse(last) as { problem?: Problem }).problem?.code
    },
  }
}

function asking(
  { port, ca }: { readonly port: number; readonly ca: string },
  { cert, key }: Client,
  name: RouteName,
  headers: Readonly<Record<string, string>> = {},
): ClientRequest {
  const { method, path } = routes[name]
  return request({
    ...{ host: '127.0.0.1', servername: 'localhost', port, ca, cert, key, method, path, headers, agent: false },
  })
}

async function codeOf(slow: ClientRequest, body: string): Promise<string> {
  slow.end(body)
  const [response] = (await once(slow, 'response')) as [IncomingMessage]
  return ((await json(response)) as Problem).code
}

async function* nothing(): AsyncGenerator<string, void> {}
