import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { Stage } from '../../demo/stage.js'
import { publishes, RawClient } from './raw-client.js'
import { connected, credentialOf, emptyStage, enroll } from './world.js'

const topics = 'devices/thermo-1/telemetry'

test(
  'on a full disk nothing is acknowledged without its record, and a revocation acts all the same',
  asRoot(),
  async (t) => {
    const stage = emptyStage(t)
    mountSmallDisk(stage)
    await stage.openService()
    const thermo = await enroll(stage, 'thermo-1')
    const client = new RawClient(t, stage.ports.mqtt, credentialOf(thermo))
    await client.open('thermo-1')
    client.send(publishes(topics, 1, 0, 100))
    await client.until(() => client.count('puback') === 100)

    fillDisk(stage)
    client.send(publishes(topics, 1, 100, 5000))
    await client.closed // nothing can be promised any more
    assert.ok(client.count('puback') < 5100)
    const readiness = await fetch(`http://127.0.0.1:${stage.ports.health}/readyz`)
    assert.equal(readiness.status, 503)
    const revoked = await stage.tryOperator('devices', 'revoke', 'thermo-1', '--reason', 'keyCompromise', '-o', 'json')
    assert.equal(revoked.exitCode, 7, revoked.stderr) // partly done
    assert.equal((JSON.parse(revoked.stdout) as { recorded: boolean }).recorded, false)
    await assert.rejects(connected(t, stage, thermo, { clientId: 'thermo-1' }))
  },
)

/** Under the data folder only; gone when the service, which is started later, has ended. */
function mountSmallDisk(stage: Stage): void {
  mkdirSync(stage.serverData)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=0700', 'tmpfs', stage.serverData])
  stage.track({ stop: async () => execFileSync('umount', ['--lazy', stage.serverData]) })
}

/** But for what a few records need. */
function fillDisk({ serverData }: Stage): void {
  const { bavail, bsize } = statfsSync(serverData)
  writeFileSync(join(serverData, 'filler'), Buffer.alloc(bavail * bsize - 64 * 1024))
}

function asRoot(): { skip?: string } {
  return process.getuid?.() === 0 ? {} : { skip: 'needs root, to mount a small disk' }
}
