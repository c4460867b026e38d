import assert from 'node:assert/strict'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { nodeDisk } from '../../device-agent/disk.js'
import { healthOf, metricsOf, writeHealth } from '../../device-agent/health.js'
import type { AgentStatus } from '../../device-agent/status.js'
import { Supervisor } from '../../device-agent/supervisor.js'
import { temporaryFolder } from './temporary-folder.js'

const now = Date.parse('2026-11-23T12:00:00Z')
const well: AgentStatus = {
  ...{ state: 'connected', updatedAt: '2026-11-23T12:00:00.000Z', connectedSince: '2026-11-23T11:00:00.000Z' },
  ...{ deviceId: 'gate-7', generation: 3, keyKind: 'software', broker: 'mqtts://localhost:8883' },
  certificate: { notBefore: '2026-11-23T00:00:00.000Z', notAfter: '2026-11-24T00:00:00.000Z' },
  renewal: { start: '2026-11-23T12:00:00.000Z', end: '2026-11-23T16:00:00.000Z', next: '2026-11-23T14:00:00.000Z' },
}

test('well is who is connected, certified and heard; a renewal that waits is not unwell yet', () => {
  const lastError = { code: 'REFUSED', message: 'busy', at: well.updatedAt }
  assert.deepEqual(healthOf({ ...well, lastError }, now).problems, [])
  const [why] = healthOf({ ...well, state: 'waiting', lastError }, now).problems
  assert.match(why ?? '', /waiting: busy/)
  assert.equal(healthOf(well, Date.parse('2026-11-24T00:00:00Z')).healthy, false)
  assert.deepEqual(healthOf({ ...well, problems: ['/x: full'] }, now).problems, ['/x: full'])
})

test('the files for watchers are whole, and in their formats', async (t) => {
  const folder = temporaryFolder(t)
  const files = { healthFile: join(folder, 'health.json'), metricsFile: join(folder, 'touchmark.prom') }
  await writeHealth(files, well, nodeDisk)
  const health: unknown = JSON.parse(readFileSync(files.healthFile, 'utf8'))
  assert.deepEqual(health, healthOf(well, now))
  const lines = readFileSync(files.metricsFile, 'utf8').trimEnd().split('\n')
  for (const line of lines) assert.match(line, /^(# (HELP|TYPE) )?touchmark_agent_\w+ .+$/)
  assert.ok(lines.includes('touchmark_agent_connected 1'))
  assert.ok(lines.includes(`touchmark_agent_certificate_not_after_seconds ${Date.parse('2026-11-24') / 1000}`))
  assert.ok(metricsOf({ ...well, state: 'waiting' }, now).includes('touchmark_agent_healthy 0\n'))
})

test('systemd hears that the agent is up, what it does, and that it still turns', async (t) => {
  const folder = temporaryFolder(t)
  const told = join(folder, 'told')
  writeFileSync(join(folder, 'systemd-notify'), `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >> ${told}\n`)
  chmodSync(join(folder, 'systemd-notify'), 0o755)
  const hears = async (words: string): Promise<void> => {
    while (!existsSync(told) || !readFileSync(told, 'utf8').includes(words)) {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const environment = {
    NOTIFY_SOCKET: '/run/x',
    WATCHDOG_USEC: '20000',
    PATH: `${folder}:${process.env['PATH'] ?? ''}`,
  }
  const supervisor = new Supervisor({ ...environment, WATCHDOG_PID: String(process.pid) }, () => undefined)
  const held = setInterval(() => undefined, 1000) // the watchdog keeps no process alive, and this test is one
  t.after(() => clearInterval(held))
  supervisor.ready()
  await hears('/run/x --ready')
  supervisor.status('connected,\nfor now')
  await hears('STATUS=connected, for now')
  await hears('WATCHDOG=1')
  supervisor.close()
  await hears('STOPPING=1')
})

test('without systemd nobody is told, and nothing is started', () => {
  const supervisor = new Supervisor({ PATH: '/nowhere' }, () => assert.fail('nothing to log'))
  supervisor.ready()
  supervisor.status('connected')
  supervisor.close()
})
