import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { defaultPolicy } from '#policy'
import { run, temporaryFolder, up } from '../server/running.js'

test('every command that changes something takes the reason along, and the log shows it', async (t) => {
  const folder = temporaryFolder(t)
  const running = await up(folder)
  const policy = join(folder, 'newer.yaml')
  writeFileSync(policy, defaultPolicy.replace('version: 1 ', 'version: 2 '))
  const token = running.ready.token?.split('.')[1] ?? ''
  const acts: readonly (readonly [event: string, ...command: string[]])[] = [
    ['device.register', 'devices', 'register', 'd1', '--ek-hash', 'ab'.repeat(32)],
    ['device.label', 'devices', 'label', 'd1', 'site=oslo'],
    ['device.revoke', 'devices', 'revoke', 'd1', '--reason', 'superseded'],
    ['token.create', 'tokens', 'create'],
    ['token.revoke', 'tokens', 'revoke', token],
    ['policy.activate', 'policy', 'apply', policy],
    ['log.key_rotate', 'audit', 'rotate-key'],
    ['payload.erase', 'audit', 'erase', '--day', '2026-11-23', '--all-devices', '--yes'],
  ]
  for (const [event, ...command] of acts) {
    const { code, stderr } = await run(folder, [...command, '--comment', `because of ${event}`])
    assert.equal(code, 0, stderr)
  }
  await run(folder, ['audit', 'payload', '0', '--comment', 'because of audit.read']) // there is none, and it is asked for
  const { stdout } = await run(folder, ['audit', 'search', 'operator:admin', '-o', 'json'])
  const records = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
  for (const event of [...acts.map(([event]) => event), 'audit.read']) {
    const record = records.find((record) => record['comment'] === `because of ${event}`)
    assert.equal(record?.['event'], event)
    assert.match(String(record['peer']), /^127\.0\.0\.1:\d+$|^\[::1\]:\d+$/)
    assert.match(String(record['fingerprint']), /^[0-9a-f]{64}$/)
  }
})
