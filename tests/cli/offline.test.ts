import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { cpSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { verifierKeyOf } from '../../audit/tree/checkpoint.js'
import { writeSample } from '../audit/tampering.js'
import { origin } from '../audit/world.js'
import { run, temporaryFolder } from '../server/running.js'

/** A log in `data/audit`, and the command line of somebody who has its key. */
async function open(t: TestContext) {
  const folder = temporaryFolder(t)
  const log = join(folder, 'data', 'audit')
  const { privateKey: signingKey } = generateKeyPairSync('ed25519')
  await writeSample(log, signingKey)
  const key = ['--vkey', verifierKeyOf(origin, signingKey)]
  const touchmark = (...args: readonly string[]) => run(folder, ['audit', ...args])
  return {
    ...{ folder, log, key, touchmark },
    /** The code that it ends with, the error's code, and whether it says where a log is. */
    async refused(...args: readonly string[]) {
      const { code, stderr } = await touchmark(...args)
      return [code, /\[(\w+)\]$/m.exec(stderr)?.[1], stderr.includes(`there is one in ${log}`)]
    },
  }
}

test('a folder that is no log is not called a damaged one, and the log beside it is named', async (t) => {
  const { folder, log, key, refused } = await open(t)
  const empty = join(folder, 'empty')
  mkdirSync(empty)
  const commands: readonly (readonly [string, ...string[]])[] = [
    ['verify', ...key],
    ['prune', '--dry-run', '--days', '1'],
    ['prove', '7', '--dir'],
  ]
  for (const command of commands) {
    assert.deepEqual(await refused(...command, empty), [1, 'CANNOT_READ', false], command[0])
    assert.deepEqual(await refused(...command, join(folder, 'absent')), [1, 'CANNOT_READ', false], command[0])
    assert.deepEqual(await refused(...command, join(log, 'log')), [1, 'CANNOT_READ', true], command[0])
    assert.deepEqual(await refused(...command, join(folder, 'data')), [1, 'CANNOT_READ', true], command[0])
  }
})

test('a log of which the checkpoint alone is missing is damaged, and a folder in its place is too', async (t) => {
  const { log, key, touchmark, refused } = await open(t)
  const checkpoint = join(log, 'log', 'checkpoint')
  renameSync(checkpoint, join(log, 'kept'))
  for (const makeSure of [() => undefined, () => mkdirSync(checkpoint)]) {
    makeSure()
    assert.deepEqual(await refused('verify', log, ...key), [8, 'CHECK_FAILED', false])
    assert.deepEqual(await refused('prune', log, '--dry-run', '--days', '1'), [1, 'AUDIT_CORRUPT', false])
  }
  assert.deepEqual(await refused('prove', '7', '--dir', log), [1, 'AUDIT_CORRUPT', false])
  rmSync(checkpoint, { recursive: true })
  cpSync(join(log, 'kept'), checkpoint)
  mkdirSync(join(log, 'log', 'minimum'))
  assert.deepEqual(await refused('verify', log, ...key), [8, 'CHECK_FAILED', false])
  assert.deepEqual(await refused('prune', log, '--dry-run', '--days', '1'), [1, 'AUDIT_CORRUPT', false])
  rmSync(join(log, 'log', 'minimum'), { recursive: true })
  assert.equal((await touchmark('verify', log, ...key)).code, 0)
})

test('who checks a proof and names a log, older checkpoints or witnesses is told that they are not looked at', async (t) => {
  const { folder, log, key, touchmark, refused } = await open(t)
  const proof = join(folder, '7.tlog-proof')
  assert.equal((await touchmark('prove', '7', '--dir', log, '-f', proof)).code, 0)
  const check = ['verify', '--proof', proof, ...key]
  assert.equal((await touchmark(...check)).code, 0)
  const others = [[log], ['--against', join(log, 'log', 'checkpoint')], ['--witness-vkey', 'w'], ['--threads', '1']]
  for (const other of others) assert.deepEqual(await refused(...check, ...other), [2, 'USAGE', false], other[0])
})
