import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { text } from 'node:stream/consumers'
import test, { type TestContext } from 'node:test'
import {
  type InviteOperatorAnswer,
  type OperatorCertificateAnswer,
  type OperatorView,
  parseInvitation,
  type Problem,
  type RevokeOperatorAnswer,
} from '#protocol'
import { createOperatorKey, csrOf } from '../../cli/operator-key.js'
import { policyFor, policyOf } from './policies.js'
import { type Answer, type Client, createWorld } from './world.js'

test('who is invited makes a key, gets a certificate for it, and may do what the policy gives that name', async (t) => {
  const { world, invite, join } = await openWorld(t, ['devices.read'])
  const { invitation, operator } = await invite('bob')
  assert.equal(operator, 'bob')
  const bob = await join(invitation)
  assert.equal((await world.call('listDevices', bob)).status, 200)
  assert.equal((await world.call('listTokens', bob)).status, 403)
  const own = (await world.call('ownOperator', bob)).json() as { operator: string; rules: unknown }
  assert.deepEqual([own.operator, own.rules], ['bob', [{ id: 'fleet/r', acts: ['devices.read'], labels: {} }]])
  const issued = world.audit.records.findLast(({ event }) => event === 'operator.issue')
  assert.ok(issued?.event === 'operator.issue' && issued.operator === 'bob' && issued.invitation !== undefined)
  assert.ok(!JSON.stringify(world.audit.records).includes(parseInvitation(invitation).secret))
})

test('an invitation is good once, until its end, with its secret; a stranger learns nothing of which it was', async (t) => {
  const { world, invite, join, ask } = await openWorld(t)
  const first = await invite('bob')
  await join(first.invitation)
  const [, id = ''] = parseInvitation((await invite('bob')).invitation).secret.split('.')
  const late = await invite('bob', { validSeconds: 60 })
  const other = parseInvitation((await invite('bob')).invitation).secret.split('.')[2] ?? ''
  world.clock.now += 60_000
  const secrets = [first, late].map(({ invitation }) => parseInvitation(invitation).secret)
  const answers = await Promise.all(
    [...secrets, `tm1.${id}.${other}`, `tm1.nothing.${other}`, 'tm1.x', 'tm2.a.b'].map(async (secret) => ask(secret)),
  )
  for (const answer of answers) assert.deepEqual([answer.status, codeOf(answer)], [403, 'INVITATION_REFUSED'])
  assert.equal(new Set(answers.map(({ body }) => body)).size, 1)
  const reasons = world.refusalsOnRecord().map(({ reason }) => reason)
  assert.deepEqual(reasons.toSorted(), [
    'invitation_expired',
    'invitation_mismatch',
    'invitation_unknown',
    'token_malformed',
  ])
})

test('of many who come with one invitation at once one gets in', async (t) => {
  const { world, invite, ask } = await openWorld(t)
  const { secret } = parseInvitation((await invite('bob')).invitation)
  const answers = await Promise.all(Array.from({ length: 8 }, async () => ask(secret)))
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [201, ...Array<number>(7).fill(403)])
  assert.equal(world.registry.operators.certificates().filter(({ operator }) => operator === 'bob').length, 1)
})

test('what is no request for a certificate spends no invitation', async (t) => {
  const { invite, join, ask } = await openWorld(t)
  const { invitation } = await invite('bob')
  const { secret } = parseInvitation(invitation)
  assert.equal((await ask(secret, 'AAAA')).status, 400)
  assert.equal((await ask(secret, '!!')).status, 400)
  await join(invitation)
})

test('nobody is invited under a name of the service, for longer than is allowed, or to more than the one who invites may do', async (t) => {
  const { world, ada, apply } = await openWorld(t, ['operators.*', 'devices.read'])
  const bob = await world.operator('bob')
  const invite = async (by: Client, body: object) => {
    const answer = await world.call('inviteOperator', by, { body })
    return [answer.status, answer.status === 201 ? '' : codeOf(answer)]
  }
  assert.deepEqual(await invite(ada, { operator: 'admin' }), [400, 'OPERATOR_RESERVED'])
  assert.deepEqual(await invite(ada, { operator: 'touchmark' }), [400, 'OPERATOR_RESERVED'])
  assert.deepEqual(await invite(ada, { operator: 'eve', ttlSeconds: 73 * 3600 }), [409, 'OPERATOR_UNBOUND'])
  assert.deepEqual(await invite(ada, { operator: 'bob', ttlSeconds: 73 * 3600 }), [400, 'REQUEST_INVALID'])
  assert.deepEqual(await invite(bob, { operator: 'bob' }), [201, ''])
  await apply(policyOf({ bob: ['operators.*', 'devices.read'], carol: ['devices.revoke'] }, 3))
  assert.deepEqual(await invite(bob, { operator: 'carol' }), [403, 'ACT_NOT_ALLOWED'])
  assert.deepEqual(await invite(ada, { operator: 'carol' }), [201, ''])
})

test('who could not be invited any more does not get in: the policy is asked again', async (t) => {
  const { world, apply, ask } = await openWorld(t)
  const ofBob = { bob: ['operators.*', 'devices.read'] }
  await apply(policyOf({ ...ofBob, carol: ['devices.read'] }, 3))
  const invited = await world.call('inviteOperator', await world.operator('bob'), { body: { operator: 'carol' } })
  const { secret } = parseInvitation((invited.json() as InviteOperatorAnswer).invitation)
  const since = [{ ...ofBob, carol: ['devices.*'] }, { bob: ['devices.read'], carol: ['devices.read'] }, ofBob]
  for (const [at, people] of since.entries()) {
    await apply(policyOf(people, 4 + at))
    const answer = await ask(secret)
    assert.deepEqual([answer.status, codeOf(answer)], [403, 'INVITATION_REFUSED'])
  }
  world.refusals.flush()
  assert.deepEqual([...new Set(world.refusalsOnRecord().map(({ reason }) => reason))], ['invitation_uncovered'])
  await apply(policyOf({ ...ofBob, carol: ['devices.read'] }, 7))
  assert.equal((await ask(secret)).status, 201)
})

test('a name that the policy gives nothing is not invited, for it would get what is bound to it later', async (t) => {
  const { world, ada, apply } = await openWorld(t)
  const invite = async () => world.call('inviteOperator', ada, { body: { operator: 'carol' } })
  const refused = await invite()
  assert.deepEqual([refused.status, codeOf(refused)], [409, 'OPERATOR_UNBOUND'])
  await apply(policyOf({ carol: ['devices.read'] }, 3))
  assert.equal((await invite()).status, 201)
})

test('a certificate is renewed by itself alone, lives as long as the one before, and leaves a record', async (t) => {
  const { world, invite, join, renew } = await openWorld(t)
  const bob = await join((await invite('bob', { ttlSeconds: 3600 })).invitation)
  world.clock.now += 3000_000
  const next = await renew(bob)
  world.clock.now += 1000_000
  assert.equal((await world.call('ownOperator', bob)).status, 403)
  assert.equal((await world.call('ownOperator', next)).status, 200)
  const over = await world.call('renewOperator', bob, { body: { csr: await csrOf(bob.key) } })
  assert.deepEqual([over.status, codeOf(over)], [403, 'OPERATOR_NOT_ADMITTED'])
  const [first, second] = world.audit.records.flatMap((one) =>
    one.event === 'operator.issue' && one.operator === 'bob' ? [one] : [],
  )
  assert.ok(first && second && second.presentedSerial === first.serial)
  assert.equal(second.notAfter - second.notBefore, first.notAfter - first.notBefore)
})

test('a certificate is renewed for no other key', async (t) => {
  const { world, invite, join } = await openWorld(t)
  const bob = await join((await invite('bob')).invitation)
  const answer = await world.call('renewOperator', bob, { body: { csr: await csrOf(createOperatorKey()) } })
  assert.deepEqual([answer.status, codeOf(answer)], [403, 'CSR_KEY_MISMATCH'])
  assert.equal(world.registry.operators.certificates().filter(({ operator }) => operator === 'bob').length, 1)
})

test('nobody heaps up certificates by renewing without end', async (t) => {
  const { world, invite, join } = await openWorld(t)
  const bob = await join((await invite('bob')).invitation)
  const csr = await csrOf(bob.key)
  const statuses: number[] = []
  for (let time = 0; time < 20; time++)
    statuses.push((await world.call('renewOperator', bob, { body: { csr } })).status)
  assert.deepEqual([statuses.filter((status) => status === 201).length, statuses.at(-1)], [15, 409])
})

test('who is no longer named in the policy renews nothing, on record, and does again when the name is back', async (t) => {
  const { world, invite, join, apply } = await openWorld(t)
  const bob = await join((await invite('bob')).invitation)
  await apply(policyOf({ carol: ['devices.read'] }, 3))
  const ask = async () => world.call('renewOperator', bob, { body: { csr: await csrOf(bob.key) } })
  const refused = await ask()
  assert.deepEqual([refused.status, codeOf(refused)], [409, 'OPERATOR_UNBOUND'])
  assert.deepEqual(
    world.refusalsOnRecord().map(({ reason, operator }) => [reason, operator]),
    [['operator_unbound', 'bob']],
  )
  await apply(policyOf({ bob: ['devices.read'] }, 4))
  assert.equal((await ask()).status, 201)
})

test('one who invites without end keeps nobody else from inviting', async (t) => {
  const { world, ada, apply } = await openWorld(t)
  await apply(policyOf({ bob: ['operators.*'], carol: ['operators.read'] }, 3))
  const bob = await world.operator('bob')
  const invite = async (by: Client) => world.call('inviteOperator', by, { body: { operator: 'carol' } })
  for (let open = 0; open < 64; open++) assert.equal((await invite(bob)).status, 201)
  const refused = await invite(bob)
  assert.deepEqual([refused.status, codeOf(refused)], [409, 'INVITATION_LIMIT'])
  assert.equal((await invite(ada)).status, 201)
  world.clock.now += 3600_000
  assert.equal((await invite(await world.operator('bob'))).status, 201)
})

test('who is revoked comes in no more although the log cannot record it, and the answer says so', async (t) => {
  const { world, ada } = await openWorld(t, ['devices.read'])
  const bob = await world.operator('bob')
  world.audit.fail()
  const ended = await world.call('revokeOperator', ada, { id: 'bob', body: {} })
  assert.deepEqual(ended.json(), { operator: 'bob', certificates: 1, invitations: 0, recorded: false })
  assert.equal((await world.call('listDevices', bob)).status, 403)
})

test('case 104: a stolen certificate that is revoked opens nothing at once, on a connection that is open too', async (t) => {
  const { world, ada, invite, join } = await openWorld(t, ['devices.read'])
  const bob = await join((await invite('bob')).invitation)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  const ask = async (): Promise<readonly [number | undefined, boolean]> => {
    const { port, ca } = world
    const where = { host: '127.0.0.1', servername: 'localhost', port, ca, path: '/v1/devices' }
    const asking = request({ ...where, agent, cert: bob.cert, key: bob.key }).end()
    const [response] = (await once(asking, 'response')) as [IncomingMessage]
    await text(response)
    return [response.statusCode, asking.reusedSocket]
  }
  assert.deepEqual(await ask(), [200, false])
  const listed = (await world.call('listOperators', ada)).json() as readonly OperatorView[]
  const fingerprint = listed.find(({ operator }) => operator === 'bob')?.certificates[0]?.fingerprint
  await invite('bob')
  const ended = await world.call('revokeOperator', ada, { id: fingerprint ?? '', body: { comment: 'stolen' } })
  assert.deepEqual(ended.json(), { operator: 'bob', certificates: 1, invitations: 0, recorded: true })
  assert.deepEqual(await ask(), [403, true])
})

test('who is revoked while the body of his request is on its way does nothing with it', async (t) => {
  const { world, ada, apply } = await openWorld(t)
  await apply(policyOf({ bob: ['operators.*'] }, 3))
  const { cert, key } = await world.operator('bob')
  const where = { host: '127.0.0.1', servername: 'localhost', port: world.port, ca: world.ca, agent: false }
  const headers = { 'content-type': 'application/json', expect: '100-continue' }
  const route = { method: 'POST', path: '/v1/operators/invitations' }
  const asking = request({ ...where, ...route, cert, key, headers })
  asking.flushHeaders()
  await once(asking, 'continue') // he was admitted
  await world.call('revokeOperator', ada, { id: 'bob', body: {} })
  asking.end(JSON.stringify({ operator: 'bob' }))
  const [response] = (await once(asking, 'response')) as [IncomingMessage]
  const { code } = JSON.parse(await text(response)) as Problem
  assert.deepEqual([response.statusCode, code], [403, 'OPERATOR_NOT_ADMITTED'])
  assert.deepEqual(world.registry.operators.invitations(), [])
})

test('revoking an operator by name ends all certificates and what invites him', async (t) => {
  const { world, ada, invite, join, ask } = await openWorld(t, ['devices.read'])
  const both = [await join((await invite('bob')).invitation), await join((await invite('bob')).invitation)]
  const open = await invite('bob')
  const revoke = () => world.call('revokeOperator', ada, { id: 'bob', body: {} })
  assert.deepEqual((await revoke()).json() as RevokeOperatorAnswer, {
    operator: 'bob',
    certificates: 2,
    invitations: 1,
    recorded: true,
  })
  for (const bob of both) assert.equal((await world.call('listDevices', bob)).status, 403)
  assert.equal((await ask(parseInvitation(open.invitation).secret)).status, 403)
  assert.equal((await revoke()).status, 404)
})

test('revoking an operator by name ends the invitations that he has made for others', async (t) => {
  const { world, ada, apply, ask } = await openWorld(t)
  await apply(policyOf({ bob: ['operators.*'], carol: ['operators.read'] }, 3))
  const bob = await world.operator('bob')
  const invited = await world.call('inviteOperator', bob, { body: { operator: 'carol' } })
  const { secret } = parseInvitation((invited.json() as InviteOperatorAnswer).invitation)
  const ended = await world.call('revokeOperator', ada, { id: 'bob', body: {} })
  assert.deepEqual(ended.json(), { operator: 'bob', certificates: 1, invitations: 1, recorded: true })
  const answer = await ask(secret)
  assert.deepEqual([answer.status, codeOf(answer)], [403, 'INVITATION_REFUSED'])
})

/** bob may do what is said; ada everything. */
async function openWorld(t: TestContext, acts: readonly string[] = ['status.read']) {
  const world = await createWorld(t)
  const ada = await world.operator()
  const apply = async (source: string): Promise<void> => {
    const answer = await world.call('applyPolicy', ada, { body: source, type: 'application/yaml' })
    assert.equal(answer.status, 200, answer.body)
  }
  await apply(policyFor(acts))
  const ask = async (secret: string, csr?: string, key = createOperatorKey()): Promise<Answer> => {
    const headers = { authorization: `Bearer ${secret}` }
    return world.call('joinOperator', undefined, { headers, body: { csr: csr ?? (await csrOf(key)) } })
  }
  const clientOf = (answer: Answer, key: string): Client => {
    assert.equal(answer.status, 201, answer.body)
    return { cert: (answer.json() as OperatorCertificateAnswer).certificate, key }
  }
  return {
    ...{ world, ada, ask, apply },
    async invite(operator: string, terms: object = {}): Promise<InviteOperatorAnswer> {
      const answer = await world.call('inviteOperator', ada, { body: { operator, ...terms } })
      assert.equal(answer.status, 201, answer.body)
      return answer.json() as InviteOperatorAnswer
    },
    async join(invitation: string): Promise<Client> {
      const key = createOperatorKey()
      return clientOf(await ask(parseInvitation(invitation).secret, undefined, key), key)
    },
    async renew(client: Client): Promise<Client> {
      const csr = await csrOf(client.key)
      return clientOf(await world.call('renewOperator', client, { body: { csr } }), client.key)
    },
  }
}

function codeOf(answer: Answer): string {
  return (answer.json() as Problem).code
}
