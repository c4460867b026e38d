import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { emptyStage, enroll } from './world.js'

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
