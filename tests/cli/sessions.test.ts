import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import test from 'node:test'
import type { SessionView } from '#protocol'
import { type Format, Output } from '../../cli/output.js'
import { Screen } from '../../cli/screen.js'
import { RunningProgram } from '../../demo/programs.js'
import { connected, emptyStage, enroll, next, searchAudit } from '../journeys/world.js'

test('an operator sees who is connected, watches it, and ends a session with a word for the log', async (t) => {
  const stage = emptyStage(t)
  const service = await stage.openService()
  const pump = await enroll(stage, 'pump-1', 'site=oslo')
  const client = await connected(t, stage, pump, { clientId: 'pump-1~sub', clean: false })
  await client.subscribeAsync('devices/pump-1/cmd/#')

  const [session, ...others] = await stage.ask<SessionView[]>('sessions', 'ls', '-q', 'label.site=oslo is:online')
  assert.deepEqual([session?.clientId, session?.subscriptions.length, others], ['pump-1~sub', 1, []])
  assert.deepEqual(await stage.ask('sessions', 'ls', '-q', '-is:online'), [])
  const table = await stage.operator('sessions', 'ls')
  assert.match(table, /^CLIENT ID +ONLINE +ADDRESS .*\npump-1~sub +yes +127\.0\.0\.1:\d+ /)

  const asked = ['sessions', 'ls', '-w', '--interval', '1s', '-o', 'json', '--data', stage.serverData]
  const watching = new RunningProgram('touchmark', asked)
  const left = new RunningProgram('touchmark', asked)
  stage.track(watching)
  stage.track(left)
  const seen = async (fits: (sessions: readonly SessionView[]) => boolean) =>
    watching.line((line) => fits((JSON.parse(line) as { sessions: readonly SessionView[] }).sessions))
  await seen(([one]) => one?.connected === true)

  const tried = await stage.operator('sessions', 'kick', 'pump-1~sub', '--forget', '--dry-run')
  assert.match(tried, /^pump-1~sub +would end +would be forgotten +0$/m)
  const closed = next(client, 'close')
  const kicked = await stage.ask('sessions', 'kick', 'pump-1~sub', '--comment', 'stuck')
  assert.deepEqual(kicked, [{ clientId: 'pump-1~sub', device: 'pump-1', ended: true, forgotten: false, purged: 0 }])
  await closed
  await seen(([one]) => one?.connected === false)
  assert.equal(await watching.stop('SIGINT'), 0)
  const ended = await searchAudit(stage, '--event', 'session.end')
  assert.deepEqual(
    ended.map(({ reason }) => reason),
    ['kicked'],
  )

  const code = async (...ids: readonly string[]) => (await stage.tryOperator('sessions', 'kick', ...ids)).exitCode
  assert.equal(await code('nobody'), 3)
  assert.equal(await code('nobody', '--dry-run'), 3)
  assert.equal(await code('pump-1~sub'), 5)
  assert.equal(await code('nobody', 'pump-1~sub', '--forget'), 7)
  assert.deepEqual(await stage.ask('sessions', 'ls'), [])
  await left.line((line) => line.includes('"sessions":'))
  await service.stop()
  assert.equal(await left.ended, 6)
})

test('a table on a terminal is shown in place, as far as there is room, and the terminal is given back', () => {
  const written: string[] = []
  const screen = new Screen({ write: (text) => written.push(text), rows: 5 })
  screen.show(['HEAD', 'one', 'two'], 'foot')
  screen.show(['HEAD', 'one', 'two', 'three'], 'foot')
  screen.close()
  assert.deepEqual(
    written.map((text) => text.replace(controls, '')),
    ['', 'HEAD\r\none\r\ntwo\r\n\r\nfoot', 'HEAD\r\none\r\n… and 2 more\r\n\r\nfoot', ''],
  )
  const [opening = '', shown = '', , closing = ''] = written
  assert.ok(shown.startsWith('\u001b[H') && shown.endsWith('\u001b[J'))
  assert.deepEqual(controlsIn(opening), ['[?1049h', '[?25l', '[?7l'])
  assert.deepEqual(controlsIn(closing), ['[?7h', '[?25h', '[?1049l'])
})

test('only a table on a terminal that can do it takes the screen', () => {
  assert.ok(outputOn({ isTTY: true }).openScreen())
  assert.equal(outputOn({ isTTY: false }).openScreen(), undefined)
  assert.equal(outputOn({ isTTY: true, format: 'json' }).openScreen(), undefined)
  assert.equal(outputOn({ isTTY: true, env: { TERM: 'dumb' } }).openScreen(), undefined)
})

test('no colour where none is wanted, and no cell can break its line or steer the terminal', () => {
  const columns = [{ name: 'id', of: (row: string) => row }]
  const rows = ['a\u001b[2J\nb']
  const safe = 'a\\u{1b}[2J\\nb'
  assert.deepEqual(outputOn({ isTTY: true, env: { NO_COLOR: '1' } }).table(rows, columns), ['ID', safe])
  const [head = ''] = outputOn({ isTTY: true }).table(rows, columns)
  assert.deepEqual(controlsIn(head), ['[2m', '[22m'])
})

const controls = new RegExp('\\u001b(\\[[?\\d]*[A-Za-z])', 'g')

function controlsIn(text: string): readonly string[] {
  return [...text.matchAll(controls)].map(([, control = '']) => control)
}

function outputOn({ isTTY, format = 'table', env = {} }: { isTTY: boolean; format?: Format; env?: NodeJS.ProcessEnv }) {
  const stdout = Object.assign(new PassThrough(), { isTTY })
  return new Output(format, { stdout, stderr: stdout, env })
}
