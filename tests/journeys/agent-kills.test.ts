import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync, watch } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { StageDevice } from '../../demo/stage.js'
import { enroll, filesOf, makeRenewalDue, openStage } from './world.js'

/** Each of them one change of the state folder later than the one before. */
const kills = 12

test('an agent that is killed again and again while it renews has a pair that works each time, and is no copy', async (t) => {
  const stage = await openStage(t)
  const device = await enroll(stage, 'edge-1')
  for (let kill = 1; kill <= kills; kill++) {
    await makeRenewalDue(device)
    const changed = changesOf(device, kill)
    const agent = device.starts('run')
    await changed
    await agent.stop('SIGKILL')
    const { cert, key } = filesOf(device)
    assert.ok(new X509Certificate(readFileSync(cert)).checkPrivateKey(createPrivateKey(readFileSync(key))))
  }
  const agent = device.starts('run')
  await agent.line((line) => line.includes(' connected device=edge-1 '))
  assert.equal(await agent.stop(), 0)
})

/** Resolves when the state folder has changed so many times. */
function changesOf(device: StageDevice, count: number): Promise<void> {
  return new Promise((resolve) => {
    let seen = 0
    const watchers = [device.data, join(device.data, 'generations')].map((folder) =>
      watch(folder, () => {
        if (++seen < count) return
        for (const watcher of watchers) watcher.close()
        resolve()
      }),
    )
  })
}
