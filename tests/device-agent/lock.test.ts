import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { isLocked, lockFolder } from '../../device-agent/lock.js'
import { temporaryFolder } from './temporary-folder.js'

test('of many that want a folder at once exactly one has it, and when it is let go the next', async (context) => {
  const folder = temporaryFolder(context)
  for (let round = 0; round < 20; round++) {
    const attempts = await Promise.allSettled(Array.from({ length: 10 }, () => lockFolder(folder)))
    const [held, ...more] = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value] : []))
    assert.ok(held !== undefined && more.length === 0, `${more.length + 1} have it in round ${round}`)
    for (const attempt of attempts)
      if (attempt.status === 'rejected') assert.equal(codeOf(attempt.reason), 'STATE_LOCKED')
    assert.ok(await isLocked(folder))
    await held.release()
  }
  assert.deepEqual(readdirSync(folder), [])
})

test('the lock of a process that is gone, or that lived before the last boot, is taken over', async (context) => {
  const folder = temporaryFolder(context)
  for (const left of ['4194303 1@boot x\n', `${process.pid} 1@another-boot x\n`, '']) {
    writeFileSync(join(folder, 'agent.lock'), left)
    assert.equal(await isLocked(folder), false)
    const lock = await lockFolder(folder)
    await lock.release()
  }
})

function codeOf(reason: unknown): unknown {
  return reason instanceof Error && 'code' in reason ? reason.code : reason
}
