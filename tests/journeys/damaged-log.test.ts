import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { publishes, RawClient } from './raw-client.js'
import { credentialOf, emptyStage, enroll } from './world.js'

test('a log that a damaged key brings to its end says which file it is, while the service runs and when it is to start', async (t) => {
  const stage = emptyStage(t)
  const service = await stage.openService()
  const thermo = await enroll(stage, 'thermo-1')
  const folder = join(stage.serverData, 'payload-keys')
  mkdirSync(folder, { recursive: true })
  const days = [Date.now(), Date.now() + 86_400_000].map((time) => new Date(time).toISOString().slice(0, 10))
  for (const day of days) writeFileSync(join(folder, `${day}.key`), 'not')

  await thermo.tries('publish', 'devices/thermo-1/telemetry/t', '21.5')
  const names = (text: string) => days.some((day) => text.includes(join(folder, `${day}.key`)))
  const said = await service.line((line) => line.startsWith('touchmark: audit log: '))
  assert.ok(names(said), said)
  const ready = await fetch(`http://127.0.0.1:${stage.ports.health}/readyz`)
  const answer = await ready.text()
  assert.ok(ready.status === 503 && names(answer), answer)

  await service.stop()
  const again = stage.startService()
  const refusal = await again.line((line) => line.endsWith('[AUDIT_CORRUPT]'))
  assert.ok(names(refusal), refusal)
  assert.equal(await again.ended, 1)
})

test('who comes by damaged records in a search or an export gets what is before them, and is told; so is the service', async (t) => {
  const stage = emptyStage(t)
  const service = await stage.openService()
  const client = new RawClient(t, stage.ports.mqtt, credentialOf(await enroll(stage, 'thermo-1')))
  await client.open('thermo-1')
  client.send(publishes('devices/thermo-1/telemetry', 1, 0, 600))
  await client.until(() => client.count('puback') === 600)
  await stage.operator('audit', 'prove', '520', '-f', join(stage.folder, 'proof')) // a checkpoint covers them
  truncateSync(join(stage.serverData, 'audit', 'log', 'tile', 'entries', '001'), 1000)

  const searched = await stage.tryOperator('audit', 'search', '--limit', '10000', '-o', 'json')
  const sequences = searched.stdout.split('\n').flatMap((line) => /"sequence":(\d+)/.exec(line)?.[1] ?? [])
  assert.equal(sequences.at(-1), '512')
  assert.equal(searched.exitCode, 1)
  assert.match(searched.stderr, /tile\/entries\/001.* \[AUDIT_CORRUPT\]$/m)
  await service.line((line) => /^touchmark: a search has found the audit log damaged: .*001/.test(line))

  const out = join(stage.folder, 'log.ndjson')
  const exported = await stage.tryOperator('audit', 'export', '--out', out)
  const [part = '', ...others] = readdirSync(stage.folder).filter((name) => name.startsWith('log.ndjson'))
  assert.deepEqual([exported.exitCode, others], [1, []])
  assert.match(exported.stderr, /\.part; it ends before the damage[^]*\[AUDIT_CORRUPT\]/)
  const lines = readFileSync(join(stage.folder, part), 'utf8').trimEnd().split('\n')
  assert.match(lines.at(-1) ?? '', /"sequence":255,/)
})
