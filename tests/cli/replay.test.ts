import assert from 'node:assert/strict'
import test from 'node:test'
import { csvHeader } from '../../cli/export/csv.js'
import { Pace, parseSpeed } from '../../cli/replay/pace.js'
import { connected, emptyStage, enroll, next } from '../journeys/world.js'

test('a session is played back with what it said, heard and was refused, and when', async (t) => {
  const stage = emptyStage(t)
  await stage.openService()
  const pump = await enroll(stage, 'pump-1', 'site=oslo')
  const client = await connected(t, stage, pump, { clientId: 'pump-1', protocolVersion: 5 })
  await client.subscribeAsync('devices/pump-1/cmd/#')
  await client.publishAsync('devices/pump-1/telemetry', 'warm', { qos: 1 })
  await assert.rejects(client.publishAsync('devices/pump-2/\u001b[2Jtelemetry', 'warm', { qos: 1 }))
  const closed = next(client, 'close')
  await client.endAsync()
  await closed

  const text = await stage.operator('audit', 'replay', '--device', 'pump-1', '--speed', 'max')
  const lines = text.trimEnd().split('\n')
  assert.match(lines[0] ?? '', /^0\.000 +● +connects +.* as pump-1 +from 127\.0\.0\.1:\d+ +MQTT 5 +to a new session/)
  assert.match(lines[1] ?? '', /^\d\.\d{3} +\+ +subscribes +devices\/pump-1\/cmd\/# +QoS 0 +by /)
  assert.match(lines[2] ?? '', /^\d\.\d{3} +→ +publishes +devices\/pump-1\/telemetry +QoS 1 +4 B +by /)
  assert.match(
    lines[3] ?? '',
    /^\d\.\d{3} +→ +publishes +"devices\/pump-2\/\\u001b\[2Jtelemetry" +QoS 1 +4 B +DENIED +\S/,
  )
  assert.match(lines[4] ?? '', /^\d\.\d{3} +○ +ends +client$/)
  assert.equal(lines.length, 5)

  const records = await stage.operator('audit', 'replay', '--device', 'pump-1', '--speed', 'max', '-o', 'json')
  const [first] = records.split('\n').map((line) => JSON.parse(line || '{}') as { session: string; offsetMs: number })
  assert.equal(first?.offsetMs, 0)
  assert.equal(await stage.operator('audit', 'replay', '--session', first.session, '--speed', '100x'), text)

  const csv = await stage.operator('audit', 'replay', '--device', 'pump-1', '--speed', 'max', '-o', 'csv')
  const [header = '', ...rows] = csv.trimEnd().split('\n')
  assert.equal(header, csvHeader)
  assert.equal(rows.length, 5)
  assert.match(rows[0] ?? '', /^\d+,2[^,]+Z,session\.connect,pump-1,.*""offsetMs"":0,/)
})

test('a session that goes on is said to, and not of one that a crash of the service has ended', async (t) => {
  const stage = emptyStage(t)
  const service = await stage.openService()
  const pump = await enroll(stage, 'pump-1')
  const client = await connected(t, stage, pump, { clientId: 'pump-1', protocolVersion: 5 })
  await client.publishAsync('devices/pump-1/telemetry', 'warm', { qos: 1 })
  const replay = () => stage.tryOperator('audit', 'replay', '--device', 'pump-1', '--speed', 'max')
  assert.match((await replay()).stderr, /^The session goes on/m)

  await service.stop('SIGKILL')
  await stage.openService()
  const after = await replay()
  assert.deepEqual([after.exitCode, after.stdout.trimEnd().split('\n').length], [0, 2])
  assert.match(after.stderr, /^The session ended without a record of it: .* started again \d{4}-/m)
  assert.doesNotMatch(after.stderr, /goes on/)
})

test('who names no session, two, or one that never was, is told so', async (t) => {
  const stage = emptyStage(t)
  await stage.openService()
  const code = async (...args: readonly string[]) => (await stage.tryOperator('audit', 'replay', ...args)).exitCode
  assert.equal(await code(), 2)
  assert.equal(await code('--session', 'a', '--device', 'pump-1'), 2)
  assert.equal(await code('--device', 'pump-1', '--speed', 'fast'), 2)
  assert.equal(await code('--device', 'pump-1'), 3)
  assert.equal(await code('--session', 'a'), 3)
})

test('a recording keeps its time, but nobody waits long, or for a clock that was set back', () => {
  const pace = new Pace(parseSpeed('10x'), 2000)
  const played = [5000, 5100, 5050, 65_050].map((time) => pace.next(time))
  assert.deepEqual(
    played.map(({ dueMs }) => dueMs),
    [0, 10, 10, 2010],
  )
  assert.deepEqual(
    played.map(({ offsetMs }) => offsetMs),
    [0, 100, 50, 60_050],
  )
  const unpaced = new Pace(parseSpeed('max'), Infinity)
  assert.deepEqual(
    [7, 60_007].map((time) => unpaced.next(time).dueMs),
    [0, 0],
  )
  for (const wrong of ['', '0x', '-1x', '1', 'x', '1e3x', '99999x']) assert.throws(() => parseSpeed(wrong))
})
