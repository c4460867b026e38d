import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { Approvals } from '#enrollment'
import type { ApprovalView, DenyAnswer, DeviceView, Problem, RouteName } from '#protocol'
import { hash, profile } from '../registry/world.js'
import { policyFor } from './policies.js'
import { by, type CallOptions, type Client, createWorld } from './world.js'

const chip = hash('an unknown chip')
const reset = hash('the chip of pump-7')
const why = { reason: 'delivery 4711' }

type Applicant = Parameters<Approvals['ask']>[0]

/** An unknown machine waits, and pump-7, whose TPM was reset. */
async function open(t: TestContext) {
  const world = await createWorld(t)
  const device = await world.device('pump-7')
  await world.registry.labelDevice(device, { site: 'rome' }, by)
  const shown = { profile, tier: 'tpm', spkiHash: hash('a key'), peer: '192.0.2.7:4000' } as const
  const ask = (hash: typeof chip, over: Partial<Applicant> = {}) =>
    world.approvals.ask({ ...shown, anchor: { kind: 'ek', hash }, reason: 'unknown', maker: 'IFX', ...over }, 'tpm')
  await ask(chip, { reported: { model: 'RX-7' } })
  await ask(reset, { reason: 'tpm_reset', device })
  const ada = await world.operator()
  const call = async <Answer>(who: Client, name: RouteName, options?: CallOptions) => {
    const answer = await world.call(name, who, options)
    return { status: answer.status, body: answer.json() as Answer & Problem }
  }
  return { world, ada, call, device }
}

test('an operator sees who waits and with what words, lets one in, and denies another', async (t) => {
  const { world, ada, call, device } = await open(t)
  const { body: waiting } = await call<readonly ApprovalView[]>(ada, 'listApprovals')
  assert.deepEqual(
    waiting.map(({ hash, reason, maker, device, reported }) => [hash, reason, maker, device, reported]),
    [
      [chip, 'unknown', 'IFX', undefined, { model: 'RX-7' }],
      [reset, 'tpm_reset', 'IFX', device, undefined],
    ],
  )
  const terms = { device: 'pump-8', labels: { site: 'oslo' }, ...why }
  const approved = await call<DeviceView>(ada, 'approveJoin', { id: chip, body: terms })
  assert.deepEqual([approved.status, approved.body.id, approved.body.state], [200, 'pump-8', 'registered'])
  assert.deepEqual(approved.body.anchors, [{ kind: 'ek', hash: chip }])
  const record = world.audit.records.findLast(({ event }) => event === 'device.register')
  assert.ok(record && 'comment' in record && record.comment === why.reason)

  const denied = await call<DenyAnswer>(ada, 'denyJoin', { id: reset, body: why })
  assert.deepEqual([denied.status, denied.body.until], [200, '2026-03-02T12:00:00.000Z'])
  assert.deepEqual((await call(ada, 'listApprovals')).body, [])
})

test('what has gone, a hash that is none, and an act without a reason are refused', async (t) => {
  const { ada, call } = await open(t)
  const approve = (id: string, body: object) => call(ada, 'approveJoin', { id, body })
  for (const [id, body, status, code] of [
    [hash('nobody'), { device: 'pump-8', ...why }, 404, 'APPROVAL_UNKNOWN'],
    ['ab', { device: 'pump-8', ...why }, 400, 'REQUEST_INVALID'],
    [chip, { device: 'pump-8' }, 400, 'REQUEST_INVALID'],
    [chip, { device: 'pump-8', reason: '' }, 400, 'REQUEST_INVALID'],
    [chip, why, 400, 'APPROVAL_INVALID'],
    [chip, { device: 'pump-7', ...why }, 409, 'ID_TAKEN'],
    [reset, { device: 'pump-8', ...why }, 400, 'APPROVAL_INVALID'],
    [reset, { labels: {}, ...why }, 400, 'APPROVAL_INVALID'],
  ] as const) {
    const answer = await approve(id, body)
    assert.deepEqual([answer.status, answer.body.code], [status, code])
  }
  assert.equal((await call(ada, 'denyJoin', { id: hash('nobody'), body: why })).status, 404)
})

test('an operator of one site lets unknown machines into it, and has no say about devices of others', async (t) => {
  const { world, ada, call } = await open(t)
  const bob = await world.operator('bob')
  const body = policyFor(['devices.register'], { labels: { site: 'oslo' } })
  assert.equal((await world.call('applyPolicy', ada, { body, type: 'application/yaml' })).status, 200)

  const { body: waiting } = await call<readonly ApprovalView[]>(bob, 'listApprovals')
  assert.deepEqual(
    waiting.map(({ hash }) => hash),
    [chip],
  )
  for (const [name, id, terms] of [
    ['approveJoin', reset, why],
    ['denyJoin', reset, why],
    ['denyJoin', chip, why],
    ['approveJoin', chip, { device: 'pump-8', ...why }],
    ['approveJoin', chip, { device: 'pump-8', labels: { site: 'rome' }, ...why }],
    ['approveJoin', chip, { device: 'pump-7', labels: { site: 'oslo' }, ...why }],
  ] as const) {
    const answer = await call(bob, name, { id, body: terms })
    assert.deepEqual([answer.status, answer.body.code], [403, 'ACT_NOT_ALLOWED'])
  }
  const terms = { device: 'pump-8', labels: { site: 'oslo' }, ...why }
  assert.equal((await call(bob, 'approveJoin', { id: chip, body: terms })).status, 200)
})
