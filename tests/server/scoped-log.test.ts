import assert from 'node:assert/strict'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { parseDeviceId, parseFingerprint, parseOperatorName } from '#protocol'
import { ApiClient } from '../../cli/client.js'
import { readCredential } from '../../cli/credential.js'
import { policyFor } from './policies.js'
import { run, temporaryFolder, up } from './running.js'

interface Line {
  readonly sequence: number
  readonly event: string
  readonly device?: string
  readonly labels?: unknown
}

test('case 64: who may read the log of one site finds the records of its devices and no others, however he asks', async (t) => {
  const { admin, bob, linesOf } = await openWorld(t)
  const all = await linesOf(admin, {})
  assert.ok(new Set(all.map(({ device }) => device)).size > 2)
  for (const query of [{}, { order: 'oldest' }, { q: 'event:device.register' }, { since: '1h' }]) {
    const found = await linesOf(bob, query)
    assert.ok(found.length > 0 && found.every(({ device }) => device === 'oslo-1'), JSON.stringify(query))
  }
  assert.equal((await linesOf(bob, { limit: '1', order: 'oldest' }))[0]?.device, 'oslo-1')
  assert.deepEqual(await linesOf(bob, { q: 'event:operator.invite' }), [])
  const rome = all.find(({ device }) => device === 'rome-1')
  for (const id of [rome?.sequence, 0, 999_999])
    await assert.rejects(bob.text('auditProof', { id: String(id) }), { code: 'ACT_NOT_ALLOWED' })
  // A refusal does not wait for its record.
  while ((await linesOf(admin, { q: 'event:operator.refuse operator:bob device:rome-1' })).length === 0);
})

test(
  'who follows the log sees devices from when they are his, and nothing more once the right is taken',
  { timeout: 60_000 },
  async (t) => {
    const { admin, bob, label } = await openWorld(t)
    const following = bob
      .lines('searchAudit', { query: { follow: 'true', q: 'event:device.label' } })
      [Symbol.asyncIterator]()
    const labels = async () => (JSON.parse(String((await following.next()).value)) as Line).labels
    await label('oslo-1', { site: 'oslo', line: '1' })
    assert.deepEqual(await labels(), { site: 'oslo', line: '1' })
    await label('rome-1', { site: 'rome', line: '9' })
    await label('oslo-1', { site: 'oslo', line: '2' })
    assert.deepEqual(await labels(), { site: 'oslo', line: '2' })
    await label('rome-1', { site: 'oslo' })
    assert.deepEqual(await labels(), { site: 'oslo' })
    const ended = assert.rejects(following.next(), { code: 'ACT_NOT_ALLOWED' })
    await admin.call('applyPolicy', { text: policyFor(['devices.read'], {}, 3) })
    await label('oslo-1', { site: 'oslo', line: '3' })
    await ended
  },
)

/** A server with a device in Oslo and one in Rome; bob may read the log of Oslo. */
async function openWorld(t: TestContext) {
  const folder = temporaryFolder(t)
  const { ready } = await up(folder)
  const server = new URL(`https://localhost:${ready.ports.https}`)
  const admin = new ApiClient(server, readCredential(join(folder, 'data', 'operator')))
  await admin.call('applyPolicy', { text: policyFor(['audit.*'], { labels: { site: 'oslo' } }) })
  for (const [at, id] of ['oslo-1', 'rome-1'].entries()) {
    const ekHash = parseFingerprint(`${at}`.repeat(64))
    const labels = { site: id.replace(/-.*/, '') }
    await admin.call('registerDevice', { body: { id: parseDeviceId(id), ekHash, labels } })
  }
  const { invitation } = await admin.call('inviteOperator', { body: { operator: parseOperatorName('bob') } })
  const own = join(folder, 'bob')
  assert.equal((await run(folder, ['--identity', own, 'operators', 'join', invitation])).code, 0)
  return {
    admin,
    bob: new ApiClient(server, readCredential(own)),
    label: (id: string, body: object) => admin.call('labelDevice', { id, body }),
    async linesOf(client: ApiClient, query: Readonly<Record<string, string>>): Promise<readonly Line[]> {
      const lines: Line[] = []
      for await (const line of client.lines('searchAudit', { query })) lines.push(JSON.parse(line) as Line)
      return lines
    },
  }
}
