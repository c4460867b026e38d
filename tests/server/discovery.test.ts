import assert from 'node:assert/strict'
import test from 'node:test'
import { type FoundService, parseDeviceId, parseLockId, servicePageLimits } from '#protocol'
import { parsePolicy, renderPolicy } from '#policy'
import { Discovery } from '../../server/discovery/discovery.js'
import { ServiceDirectory } from '../../server/discovery/directory.js'
import { DiscoveryReads } from '../../server/discovery/reads.js'
import { parseWanted } from '../../server/discovery/wanted.js'
import { attested, by, certificateFor, createWorld as createRegistry, credential, newToken } from '../registry/world.js'

const policy = parsePolicy(
  `{ apiVersion: touchmark/v1, kind: TopicPolicy, metadata: { name: p, version: 1 },
    roles: { r: { discover: [{ id: s, labels: { site: oslo }, services: "*" }] } },
    bindings: [{ role: r, match: { ids: [asker] } }] }`,
  'p',
)

/** A registry in which so many devices joined, each with these facts; the asker holds a grant on those of Oslo. */
async function open(count: number, reported: Readonly<Record<string, string>>) {
  const world = await createRegistry()
  const { registry, audit, clock } = world
  const directory = new ServiceDirectory(registry)
  const reads = new DiscoveryReads(audit)
  const discovery = new Discovery({
    ...{ directory, reads, elapsed: () => performance.now() },
    identify: () => assert.fail('not asked'),
    admit: () => ({ admitted: true }),
    rightsOf: (id) => renderPolicy(policy, { id, tier: 'token', labels: {} }),
    isOnline: () => false,
  })
  await registry.createToken(newToken(world, 't', { uses: count }), by)
  const joined = await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const attestation = attested(`key ${at}`, { token: 't' })
      const plan = registry.planEnrollment(attestation, credential('t'))
      assert.ok(plan.kind === 'issue')
      await registry.enroll(plan, certificateFor(world, attestation.spkiHash), {
        reported,
        peer: '192.0.2.1:5',
      })
      return plan
    }),
  )
  const asker = { device: parseDeviceId('asker'), peer: '192.0.2.1:1' }
  const ask = (query: Readonly<Record<string, string>> = {}, who = asker) =>
    discovery.page(who, parseWanted(query), new URLSearchParams(query).toString(), new AbortController().signal)
  return { registry, audit, clock, directory, reads, ask, joined }
}

test('of 10,000 devices each page is bounded, and the pages together give every service once', async () => {
  const { ask } = await open(10_000, { 'service.opcua': '4840/tcp' })
  const found: FoundService[] = []
  for (let after: string | undefined = '', pages = 0; after !== undefined; pages++) {
    const page = await ask(after === '' ? {} : { after })
    assert.ok(page.services.length <= servicePageLimits.maxServices && pages <= 100)
    found.push(...page.services)
    after = page.next
  }
  assert.equal(found.length, 10_000)
  assert.equal(new Set(found.map(({ device }) => device)).size, 10_000)
  assert.equal((await ask({ limit: '1' })).services.length, 1)
})

test('who is locked, in quarantine, revoked or elsewhere by now is found no more, and found again afterwards', async () => {
  const { registry, ask, joined } = await open(2, { 'service.a': '1/tcp', 'service.b': 'plc:2/udp' })
  const [first, second] = joined.map(({ device }) => device)
  assert.ok(first && second)
  const devices = async (query = {}) => [...new Set((await ask(query)).services.map(({ device }) => device))]
  assert.equal((await devices()).length, 2)
  const lock = { lock: parseLockId('l'), target: { device: first }, mode: 'lock', reason: 'x' } as const
  await registry.addLock(lock, by).done
  assert.deepEqual(await devices(), [second])
  await registry.removeLock(parseLockId('l'), by)
  assert.equal((await devices()).length, 2)
  await registry.labelDevice(first, { site: 'bergen' }, by)
  assert.deepEqual(await devices(), [second])
  assert.deepEqual(await devices({ 'label.site': 'bergen' }), [])
  assert.deepEqual(
    (await ask({ service: 'b*', protocol: 'udp' })).services.map(({ host, port }) => [host, port]),
    [['plc', 2]],
  )
  await registry.revokeDevice(second, { reason: 'keyCompromise', ...by }).done
  assert.deepEqual(await devices(), [])
})

test('a device without the grant sees nothing, and a thousand questions are two records', async () => {
  const { audit, ask, reads } = await open(1, { 'service.a': '1/tcp' })
  const stranger = { device: parseDeviceId('stranger'), peer: '192.0.2.9:1' }
  for (let asked = 0; asked < 1000; asked++) {
    await assert.rejects(ask({}, stranger), { code: 'DISCOVERY_NOT_GRANTED' })
    await ask({ service: `s${asked}` })
  }
  reads.flush()
  const records = audit.records.filter((record) => record.event === 'services.discover')
  assert.deepEqual(
    records.map(({ device, reason, query, count }) => [device, reason, query, count]),
    [
      ['stranger', 'no_rule', undefined, undefined],
      ['asker', undefined, 'service=s0', undefined],
      ['stranger', 'no_rule', undefined, 999],
      ['asker', undefined, undefined, 999],
    ],
  )
})

test('a question that cannot be read is refused with what was expected', () => {
  for (const query of [
    { label: 'x' },
    { 'label.': 'x' },
    { 'label.site': 'a*' },
    { 'label.site': ['a', 'b'] },
    { service: '+' },
    { service: 'a*b' },
    { protocol: '\u0000' },
    { limit: '0' },
    { limit: '101' },
    { limit: '1e2' },
    { after: 'x' },
    { after: 'a/b/c' },
    { after: '../..' },
    { q: 'label.site=oslo' },
  ]) {
    assert.throws(() => parseWanted(query), { code: 'QUERY_INVALID' }, JSON.stringify(query))
  }
})
