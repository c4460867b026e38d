import assert from 'node:assert/strict'
import test from 'node:test'
import { defaultPolicy } from '#policy'
import type { PolicyDiff } from '#protocol'
import { joinByToken } from '../registry/world.js'
import { by, createWorld } from './world.js'

const newer = defaultPolicy.replace('version: 1 ', 'version: 2 ').replace('retain: true', 'retain: false')

test('a policy is compared with the one in force, and the known devices are counted that gain or lose', async (t) => {
  const { call, operator, registry, clock, device, policy, audit } = await createWorld(t)
  const ada = await operator()
  for (let at = 0; at < 6; at++) await joinByToken({ registry, clock }, `key ${at}`, `d${at}`)
  await device('never-joined')
  const compare = async (body: object) => {
    const { status, json } = await call('diffPolicy', ada, { body })
    return { status, answer: json() as PolicyDiff & { readonly code?: string } }
  }
  const before = audit.records.length
  const { answer } = await compare({ source: newer, file: 'newer.yaml' })
  const [change, ...others] = answer.changes
  assert.deepEqual([answer.from.version, answer.to.version, others], [1, 2, []])
  assert.deepEqual([change?.brings, change?.rule, change?.what], ['less', 'device/state', 'retain'])
  assert.match(change?.at ?? '', /^newer\.yaml:\d+:\d+$/)
  const { known, less, more } = answer.devices
  assert.deepEqual([known, less.count, less.first.length, more.count], [6, 6, 5, 0])
  assert.equal(audit.records.length, before, 'it is a question')

  await policy.apply(newer.replace(', retain: true, expect: allow', ', expect: allow'), {
    ...{ file: 'policy.yaml', dryRun: false, by },
  })
  const back = await compare({ to: 1 })
  assert.deepEqual([back.answer.from.version, back.answer.to.version, back.answer.devices.more.count], [2, 1, 6])
  assert.deepEqual((await compare({})).answer.changes, [])
})

test('what cannot be compared is refused and changes nothing', async (t) => {
  const { call, operator, policy } = await createWorld(t)
  const ada = await operator()
  for (const [body, code] of [
    [{ source: 'roles: [' }, 'POLICY_SYNTAX'],
    [{ source: newer, to: 1 }, 'REQUEST_INVALID'],
    [{ from: 7 }, 'NOT_FOUND'],
    [{ from: 0 }, 'REQUEST_INVALID'],
    [{ fron: 1 }, 'REQUEST_INVALID'],
    [{ source: `# ${'x'.repeat(600_000)}` }, 'REQUEST_TOO_LARGE'],
    [{ source: `# ${'x'.repeat(300_000)}` }, 'POLICY_LIMIT'],
  ] as const) {
    const { json } = await call('diffPolicy', ada, { body })
    assert.equal((json() as { code: string }).code, code)
  }
  assert.equal(policy.view.version, 1)
})
