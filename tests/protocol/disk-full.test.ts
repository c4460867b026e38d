import assert from 'node:assert/strict'
import test from 'node:test'
import { CodedError, isDiskFull } from '#protocol'

test('a full disk is known by the code of the system or of a room, however deep the cause lies', () => {
  const system = Object.assign(new Error('write'), { code: 'ENOSPC' })
  const quota = Object.assign(new Error('write'), { code: 'EDQUOT' })
  const room = new CodedError('STORE_FULL', 'writing failed')
  for (const error of [system, quota, room]) {
    assert.ok(isDiskFull(error))
    assert.ok(isDiskFull(new Error('the service cannot be opened', { cause: new Error('because', { cause: error }) })))
  }
})

test('what only reads like a full disk is none', () => {
  assert.ok(!isDiskFull(new Error('ENOSPC: no space left on device')))
  assert.ok(!isDiskFull(Object.assign(new Error('write'), { code: 'EIO' })))
  assert.ok(!isDiskFull('ENOSPC'))
})
