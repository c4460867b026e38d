import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, linkSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { parseProfileName, encodeJoinUri } from '#protocol'
import { firstBoot } from '../../device-agent/first-boot/first-boot.js'
import { AgentError } from '../../device-agent/errors.js'
import { runAgent } from './as-program.js'
import { createTestCa, issuingReply, startService, type TestService } from './service-double.js'
import { asRoot } from '../small-disk.js'
import { temporaryDisk, temporaryFolder } from './temporary-folder.js'

const ca = await createTestCa()
const token = 'tm1.one.secret'

interface World {
  readonly folder: string
  readonly data: string
  readonly service: TestService
  /** Writes a file of this device, for its owner alone unless said otherwise. */
  file(name: string, content: unknown, mode?: number): string
  enroll(environment: Readonly<Record<string, string>>, ...args: readonly string[]): ReturnType<typeof runAgent>
}

async function openWorld(context: TestContext): Promise<World> {
  const folder = temporaryFolder(context)
  const service = await startService(ca, issuingReply(ca))
  context.after(() => service.close())
  const data = join(folder, 'state')
  return {
    folder,
    data,
    service,
    file: (name, content, mode = 0o600) => {
      writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content), { mode })
      return join(folder, name)
    },
    enroll: (environment, ...args) => runAgent(['enroll', '--data', data, ...args], { environment }),
  }
}

function bearerOf({ service }: World): readonly (string | undefined)[] {
  return service.requests.map(({ authorization }) => authorization)
}

test('joins by what the environment says', async (context) => {
  const world = await openWorld(context)
  const joined = await world.enroll({ TOUCHMARK_JOIN: world.service.joinUri(), TOUCHMARK_TOKEN: token })
  assert.deepEqual([joined.exitCode, joined.out], [0, ['gate-7']])
  assert.deepEqual(bearerOf(world), [`Bearer ${token}`])
})

test('joins by systemd credentials, which are left to systemd', async (context) => {
  const world = await openWorld(context)
  mkdirSync(join(world.folder, 'credentials'))
  world.file('credentials/touchmark.join', `${world.service.joinUri()}\n`)
  const secret = world.file('credentials/touchmark.token', `${token}\n`, 0o400)
  const joined = await world.enroll({ CREDENTIALS_DIRECTORY: join(world.folder, 'credentials') })
  assert.equal(joined.exitCode, 0)
  assert.deepEqual(bearerOf(world), [`Bearer ${token}`])
  assert.ok(existsSync(secret))
})

test('joins by the settings, and takes the token out of them when the certificate is on disk', async (context) => {
  const world = await openWorld(context)
  const settings = world.file('agent.json', { join: world.service.joinUri(), token, rotateKey: 'never' })
  const before = statSync(settings)
  const joined = await world.enroll({}, '--config', settings)
  assert.deepEqual([joined.exitCode, joined.err.filter((line) => /token/.test(line))], [0, []])
  const left: unknown = JSON.parse(readFileSync(settings, 'utf8'))
  assert.deepEqual(left, { join: world.service.joinUri(), rotateKey: 'never' })
  assert.deepEqual([statSync(settings).mode, statSync(settings).uid], [before.mode, before.uid])
  assert.equal((await world.enroll({}, '--config', settings)).exitCode, 0, 'and the next boot needs none')
})

test('a token file is gone when it has served, and its content before its name', async (context) => {
  const world = await openWorld(context)
  const secret = world.file('token', token)
  const args = ['--join', world.service.joinUri(), '--token-file', secret]
  assert.equal((await world.enroll({}, ...args)).exitCode, 0)
  assert.ok(!existsSync(secret))
  assert.equal((await world.enroll({}, ...args)).exitCode, 0, 'and the next boot does not miss it')
})

test('a token stays where it is while the service has not answered', async (context) => {
  const world = await openWorld(context)
  const secret = world.file('token', token)
  const uri = world.service.joinUri()
  await world.service.close()
  const refused = await world.enroll({}, '--join', uri, '--token-file', secret)
  assert.equal(refused.exitCode, 6)
  assert.equal(readFileSync(secret, 'utf8'), token)
})

test('two sources that say the same are one; two that differ are an error that names both, and no token', async (context) => {
  const world = await openWorld(context)
  const uri = world.service.joinUri()
  const settings = world.file('agent.json', { join: uri, token })
  const other = encodeJoinUri({ host: 'elsewhere', port: 1, profile: parseProfileName('default'), pins: [ca.pin] })
  for (const [environment, args, names] of [
    [{ TOUCHMARK_TOKEN: 'tm1.two.other' }, [], ['TOUCHMARK_TOKEN', `"token" in ${settings}`]],
    [{}, ['--token', 'tm1.two.other'], ['--token', `"token" in ${settings}`]],
    [{}, ['--join', other], ['--join', `"join" in ${settings}`]],
    [{ TOUCHMARK_JOIN: other }, ['--join', uri], ['--join', 'TOUCHMARK_JOIN']],
  ] as const) {
    const { exitCode, err } = await world.enroll(environment, '--config', settings, ...args)
    const said = err.join('\n')
    assert.equal(exitCode, 2)
    assert.match(said, /\[SOURCES_DISAGREE\]/)
    for (const name of names) assert.ok(said.includes(name), said)
    assert.doesNotMatch(said, /secret|other/)
  }
  assert.equal(world.service.requests.length, 0)
  const agreed = await world.enroll({ TOUCHMARK_JOIN: uri, TOUCHMARK_TOKEN: token }, '--config', settings)
  assert.equal(agreed.exitCode, 0)
})

test('what is no token is not sent, whatever file was named', async (context) => {
  const world = await openWorld(context)
  for (const content of ['root:x:0:0:root:/root:/bin/sh\n', 'tm1.id.secret\nx', 'x'.repeat(5000), `${token}\0`]) {
    const secret = world.file('token', content)
    const refused = await world.enroll({}, '--join', world.service.joinUri(), '--token-file', secret)
    assert.equal(refused.exitCode, 2)
    assert.match(refused.err.join('\n'), /\[SETTINGS_INVALID\]/)
    assert.doesNotMatch(refused.err.join('\n'), /root:x|xxxx/)
    assert.equal(readFileSync(secret, 'utf8'), content)
  }
  assert.equal(world.service.requests.length, 0)
})

test('a token file that others can read is used, with a warning', async (context) => {
  const world = await openWorld(context)
  const secret = world.file('token', token, 0o644)
  const joined = await world.enroll({}, '--join', world.service.joinUri(), '--token-file', secret)
  assert.equal(joined.exitCode, 0)
  assert.match(joined.err.join('\n'), /can be read by others/)
})

test('a token behind a link, or with a second name, is used, and nothing is written through to it', async (context) => {
  const world = await openWorld(context)
  const target = world.file('target', token)
  symlinkSync(target, join(world.folder, 'link'))
  const linked = await world.enroll({}, '--join', world.service.joinUri(), '--token-file', join(world.folder, 'link'))
  assert.equal(linked.exitCode, 0)
  assert.match(linked.err.join('\n'), /the token stays in .*link: it is a symbolic link/)
  assert.equal(readFileSync(target, 'utf8'), token)

  linkSync(target, join(world.folder, 'second'))
  const named = await world.enroll({}, '--join', world.service.joinUri(), '--token-file', join(world.folder, 'second'))
  assert.match(named.err.join('\n'), /the token stays in .*second: it has a second name/)
  assert.equal(readFileSync(target, 'utf8'), token)
})

test('a token on a medium that cannot be written is used, and what stays there is said', asRoot(), async (context) => {
  const world = await openWorld(context)
  const medium = temporaryDisk(context, 1)
  writeFileSync(join(medium, 'token'), token, { mode: 0o600 })
  execFileSync('mount', ['-o', 'remount,ro', medium])
  const joined = await world.enroll({}, '--join', world.service.joinUri(), '--token-file', join(medium, 'token'))
  assert.equal(joined.exitCode, 0)
  assert.match(joined.err.join('\n'), /the token stays in .*: EROFS/)
})

test('settings that others could write are not obeyed, on whatever path they lie', async (context) => {
  const world = await openWorld(context)
  const uri = world.service.joinUri()
  const open = world.file('open.json', { join: uri, token })
  const inOpen = join(world.folder, 'open', 'agent.json')
  mkdirSync(join(world.folder, 'open'), { mode: 0o700 })
  world.file('open/agent.json', { join: uri, token })
  symlinkSync(inOpen, join(world.folder, 'link.json'))
  chmodSync(open, 0o666)
  chmodSync(join(world.folder, 'open'), 0o777)
  for (const file of [open, inOpen, join(world.folder, 'link.json')]) {
    const refused = await world.enroll({}, '--config', file)
    assert.match(refused.err.join('\n'), /\[SETTINGS_UNSAFE\]/)
    assert.equal(refused.exitCode, 2)
  }
  assert.equal(world.service.requests.length, 0)
})

test('settings that are not there, no JSON, too large, or with a misspelt field are told', async (context) => {
  const world = await openWorld(context)
  for (const content of ['{', '[]', '{"tokn":"x"}', '{"rotateKey":"sometimes"}', ' '.repeat(70_000)]) {
    const refused = await world.enroll({}, '--config', world.file('agent.json', content))
    assert.match(refused.err.join('\n'), /\[SETTINGS_INVALID\]/)
  }
  const absent = await world.enroll({ TOUCHMARK_CONFIG: join(world.folder, 'none.json') })
  assert.match(absent.err.join('\n'), /none\.json.*\[SETTINGS_INVALID\]/)
})

test('the first boot waits for its network and its registration, longer and longer, and ends at once for what waiting does not mend', async () => {
  const waits: number[] = []
  const said: string[] = []
  const errors = [
    new AgentError('UNREACHABLE', 'no network yet'),
    new AgentError('REFUSED', 'busy', { refusal: { status: 503, code: 'BUSY', retryAfterSeconds: 120 } }),
    new AgentError('REFUSED', 'not registered', { refusal: { status: 403, code: 'JOIN_REFUSED' } }),
    new AgentError('STATE_INVALID', 'damaged'),
  ]
  const booting = firstBoot({
    join: () => Promise.reject(errors.shift() ?? new Error('asked once more')),
    random: () => 1,
    sleep: (ms) => Promise.resolve(void waits.push(ms)),
    stopped: new AbortController().signal,
    log: (event, { error = '' }) => said.push(`${event} ${error}`),
  })
  await assert.rejects(booting, { code: 'STATE_INVALID' })
  assert.deepEqual(said, ['not joined UNREACHABLE', 'not joined REFUSED', 'not joined REFUSED'])
  assert.deepEqual(waits, [10_000, 140_000, 40_000])
})
