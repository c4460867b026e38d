import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { ApiClient } from '../../cli/client.js'
import { readCredential } from '../../cli/credential.js'
import { keepFresh } from '../../cli/operator-key.js'
import { policyFor } from '../server/policies.js'
import { run, temporaryFolder, up } from '../server/running.js'

test('a person is invited, joins with a key of his own, does what the policy lets him, and is thrown out', async (t) => {
  const { admin, as, bob, folder } = await openWorld(t)
  const invitation = await invite(admin)
  assert.equal((await as('operators', 'join', invitation)).code, 0)
  assert.equal(statSync(join(bob, 'operator.key')).mode & 0o777, 0o600)
  assert.deepEqual(await spoken(as('operators', 'whoami', '-o', 'json'), 'operator'), 'bob')
  assert.equal((await as('devices', 'ls')).code, 0)
  const refused = await as('tokens', 'ls')
  assert.deepEqual([refused.code, /tokens\.read \[ACT_NOT_ALLOWED\]$/m.test(refused.stderr)], [4, true])
  const searched = await as('audit', 'search', 'operator:bob')
  assert.equal(searched.code, 4)
  assert.match((await admin('operators', 'ls')).stdout, /^bob +1 +20.*devices\.read/m)

  const again = await as('operators', 'join', invitation)
  assert.deepEqual([again.code, /holds a credential already/.test(again.stderr)], [1, true])
  const spent = await run(folder, ['--identity', join(folder, 'other'), 'operators', 'join', invitation])
  assert.deepEqual([spent.code, /INVITATION_REFUSED/.test(spent.stderr)], [4, true])

  assert.equal((await admin('operators', 'revoke', 'bob', '--comment', 'has left')).code, 0)
  assert.equal((await as('devices', 'ls')).code, 4)
  const log = (await admin('audit', 'search', 'event:operator.revoke', '-o', 'json')).stdout
  assert.deepEqual(
    ['operator', 'whom', 'comment'].map((field) => (JSON.parse(log) as Record<string, unknown>)[field]),
    ['admin', 'bob', 'has left'],
  )
})

test('where a credential cannot be kept the invitation is not spent', async (t) => {
  const { admin, as, folder } = await openWorld(t)
  const invitation = await invite(admin)
  const file = join(folder, 'people.yaml')
  const refused = await run(folder, ['--identity', join(file, 'bob'), 'operators', 'join', invitation])
  assert.deepEqual([refused.code, /CANNOT_WRITE/.test(refused.stderr)], [1, true])
  assert.equal((await as('operators', 'join', invitation)).code, 0)
})

test('the command renews a certificate in the last third of its life, for the same key, and goes on without where it cannot', async (t) => {
  const { admin, as, bob, url } = await openWorld(t)
  await as('operators', 'join', await invite(admin))
  const shown = () => new X509Certificate(readFileSync(join(bob, 'operator.crt')))
  const [before, key] = [shown(), readFileSync(join(bob, 'operator.key'), 'utf8')]
  const life = Date.parse(before.validTo) - Date.parse(before.validFrom)
  const callAt = (part: number, folder = bob) => {
    const now = Date.parse(before.validFrom) + life * part
    return new ApiClient(
      url(),
      readCredential(bob),
      keepFresh(folder, () => now),
    ).call('ownOperator')
  }
  await callAt(0.6)
  assert.equal(shown().serialNumber, before.serialNumber)
  assert.equal((await callAt(0.7, join(bob, 'not-there'))).operator, 'bob')
  assert.equal(shown().serialNumber, before.serialNumber)
  const own = await callAt(0.7)
  assert.notEqual(shown().serialNumber, before.serialNumber)
  assert.equal(own.fingerprint, shown().fingerprint256.replaceAll(':', '').toLowerCase())
  assert.equal(readFileSync(join(bob, 'operator.key'), 'utf8'), key)
  assert.equal((await as('devices', 'ls')).code, 0)
})

test('whoever answers in the place of the service that invites gets no request for a certificate', async (t) => {
  const { admin, folder } = await openWorld(t)
  const invitation = await invite(admin)
  const foreign = invitation.replace(/pin=sha256:.{43}/, `pin=sha256:${'A'.repeat(43)}`)
  const joined = await run(folder, ['--identity', join(folder, 'new'), 'operators', 'join', foreign])
  assert.deepEqual([joined.code, /SERVER_NOT_TRUSTED/.test(joined.stderr)], [6, true])
  const nonsense = await run(folder, ['--identity', join(folder, 'new'), 'operators', 'join', 'tm1.a.b'])
  assert.equal(nonsense.code, 2)
})

test('revoking the local admin gives the data folder a new credential at once', async (t) => {
  const { admin, folder } = await openWorld(t)
  const key = () => readFileSync(join(folder, 'data', 'operator', 'operator.key'), 'utf8')
  const before = key()
  assert.equal((await admin('operators', 'revoke', 'admin', '--comment', 'copied')).code, 0)
  assert.notEqual(key(), before)
  assert.equal((await admin('status')).code, 0)
})

type Touchmark = (...args: readonly string[]) => ReturnType<typeof run>

async function invite(admin: Touchmark): Promise<string> {
  const { stdout, stderr } = await admin('operators', 'invite', 'bob', '-o', 'json')
  assert.equal(stderr, '')
  return (JSON.parse(stdout) as { invitation: string }).invitation
}

async function spoken(finished: ReturnType<typeof run>, field: string): Promise<unknown> {
  const { code, stdout, stderr } = await finished
  assert.equal(code, 0, stderr)
  return (JSON.parse(stdout) as Record<string, unknown>)[field]
}

/** One server, its local admin, and bob with a folder of his own, who may see devices. */
async function openWorld(t: TestContext) {
  const folder = temporaryFolder(t)
  const { ready } = await up(folder)
  const bob = join(folder, 'bob')
  const admin: Touchmark = (...args) => run(folder, args)
  const as: Touchmark = (...args) => run(folder, ['--identity', bob, ...args])
  const policy = join(folder, 'people.yaml')
  writeFileSync(policy, policyFor(['devices.read', 'status.read']))
  assert.equal((await admin('policy', 'apply', policy)).code, 0)
  return { ...{ folder, bob, admin, as }, url: () => new URL(`https://localhost:${ready.ports.https}`) }
}
