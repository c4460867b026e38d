import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { defaultPolicy, parsePolicy } from '#policy'
import { run, temporaryFolder, up } from '../server/running.js'

const tests = parsePolicy(defaultPolicy, 'policy.yaml').tests.length
const ekHash = 'ab'.repeat(32)

/** One server for a test, and its operator's command line. */
async function open(t: TestContext) {
  const folder = temporaryFolder(t)
  const running = await up(folder)
  const touchmark = (...args: readonly string[]) => run(folder, args)
  return {
    ...{ folder, running, touchmark },
    async json(...args: readonly string[]): Promise<unknown> {
      const { code, stdout, stderr } = await touchmark(...args, '-o', 'json')
      assert.equal(code, 0, stderr)
      return JSON.parse(stdout)
    },
    async code(...args: readonly string[]): Promise<number | null> {
      return (await touchmark(...args)).code
    },
  }
}

test('an operator registers, labels, finds, previews and revokes a device', async (t) => {
  const { json, code, touchmark } = await open(t)
  await json(
    'devices',
    'register',
    'd1',
    '--ek-hash',
    ekHash.toUpperCase(),
    '--label',
    'site=oslo',
    '--label',
    'kind=pump',
  )
  const labelled = (await json('devices', 'label', 'd1', 'site=rome', 'kind=')) as { labels: unknown }
  assert.deepEqual(labelled.labels, { site: 'rome' })
  assert.equal(((await json('devices', 'ls', '-q', 'label.site=rome is:registered')) as unknown[]).length, 1)
  assert.equal(((await json('devices', 'ls', '-q', '-label.site=rome')) as unknown[]).length, 0)

  await json('devices', 'register', 'd2', '--ek-hash', 'cd'.repeat(32), '--label', 'site=rome', '--label', 'line=9')
  await json('devices', 'register', 'd3', '--ek-hash', 'ef'.repeat(32), '--label', 'site=oslo')
  const many = ['devices', 'label', '--query', 'label.site=rome', 'line=9'] as const
  assert.deepEqual(await json(...many, '--dry-run'), [
    { id: 'd1', before: { site: 'rome' }, labels: { site: 'rome', line: '9' } },
  ])
  assert.deepEqual(await json(...many), { found: 2, labelled: 1 })
  assert.deepEqual(await json(...many), { found: 2, labelled: 0 })
  const ofLine = (await json('devices', 'ls', '-q', 'label.line=9')) as readonly { id: string }[]
  assert.deepEqual(ofLine.map(({ id }) => id).toSorted(), ['d1', 'd2'])
  assert.equal(await code('devices', 'label', '--query', ' ', 'line=9'), 2)

  const preview = await touchmark('devices', 'revoke', 'd1', '--reason', 'keyCompromise', '--dry-run')
  assert.deepEqual([preview.code, /Nothing was changed/.test(preview.stderr)], [0, true])
  assert.equal(((await json('devices', 'show', 'd1')) as { state: string }).state, 'registered')
  const revoked = await json('devices', 'revoke', 'd1', '--reason', 'keyCompromise', '--comment', 'found open')
  assert.deepEqual(revoked, { device: 'd1', sessions: 0, purged: 0, recorded: true, outstanding: [] })
  const records = (await touchmark('audit', 'search', '--device', 'd1', '--event', 'device.revoke', '-o', 'json'))
    .stdout
  const record = JSON.parse(records) as { operator: string; comment: string }
  assert.deepEqual([record.operator, record.comment], ['admin', 'found open'])
  assert.equal(await code('devices', 'register', 'd1', '--ek-hash', ekHash), 5)
})

test('a lock on more devices than may be asks for their number first, and on as many does not', async (t) => {
  const { json, code, touchmark } = await open(t)
  for (const id of ['d1', 'd2', 'd3']) {
    await json('devices', 'register', id, '--ek-hash', `${'ab'.repeat(31)}${id}`, '--label', 'site=oslo')
  }
  const lock = ['locks', 'add', '--labels', 'site=oslo', '--reason', 'a test'] as const
  const asked = await touchmark(...lock, '--ask-above', '2')
  assert.deepEqual([asked.code, /on 3 devices/.test(asked.stderr)], [2, true], 'nobody is there to type the number')
  assert.deepEqual(await json('locks', 'ls'), [])
  assert.equal(await code(...lock, '--ask-above', '3'), 0)
  assert.equal(await code(...lock, '--ask-above', '2', '--yes'), 0)
  assert.equal(((await json('locks', 'ls')) as readonly unknown[]).length, 2)
})

test('exit codes tell a script what happened', async (t) => {
  const { code, running, folder } = await open(t)
  assert.equal(await code('status'), 0)
  assert.equal(await code('--help'), 0)
  assert.equal(await code('--version'), 0)
  assert.equal(await code('devices', 'revoke', 'd1'), 2)
  assert.equal(await code('devices', 'revoke', 'd1', '--reason', 'boredom'), 2)
  assert.equal(await code('no-such-command'), 2)
  assert.equal(await code('devices', 'register', 'a/b', '--ek-hash', ekHash), 2)
  assert.equal(await code('devices', 'ls', '-q', 'nonsense'), 2)
  assert.equal(await code('--server', 'http://localhost', 'status'), 2)
  assert.equal(await code('devices', 'show', 'nobody'), 3)
  assert.equal(await code('tokens', 'revoke', 'nothing'), 3)
  assert.equal(await code('--identity', folder, 'status'), 1)
  assert.equal(await code('audit', 'verify', join(folder, 'data', 'audit'), '--vkey', 'not-a-key'), 1)
  await running.stop()
  assert.equal(await code('status'), 6)
})

test('answers come as a table, JSON, YAML or CSV on stdout, and nothing else does', async (t) => {
  const { touchmark, json } = await open(t)
  await json('devices', 'register', 'd1', '--ek-hash', ekHash)
  assert.equal(
    (await touchmark('devices', 'ls')).stdout,
    'ID  STATE       ONLINE  TIER  UNTIL  LABELS\nd1  registered  no      -     -      -\n',
  )
  assert.match((await touchmark('devices', 'ls', '-o', 'wide')).stdout, new RegExp(`ek:${ekHash}`))
  assert.match((await touchmark('devices', 'ls', '-o', 'yaml')).stdout, /^- id: d1$/m)
  assert.match((await touchmark('devices', 'ls', '-o', 'csv')).stdout, /^d1,registered,no,,,,default,ek:/m)
  const refused = await touchmark('devices', 'show', 'nobody', '-o', 'json')
  assert.deepEqual([refused.stdout, /\[NOT_FOUND\]$/m.test(refused.stderr)], ['', true])
})

test('a token is made with the command that a device needs, listed without its secret, and revoked', async (t) => {
  const { json, touchmark } = await open(t)
  const made = (await json(
    'tokens',
    'create',
    '--device',
    'd1',
    '--label',
    'site=oslo',
    '--uses',
    '2',
    '--ttl',
    '2h',
  )) as {
    id: string
    token: string
    joinUri: string
  }
  assert.match(made.token, /^tm1\./)
  assert.match(made.joinUri, /^touchmark:\/\/localhost:\d+\/default\?pin=sha256:/)
  const listed = (await touchmark('tokens', 'ls')).stdout
  assert.ok(listed.includes(made.id) && !listed.includes(made.token.split('.')[2] ?? made.token))
  assert.match((await touchmark('tokens', 'create')).stdout, /touchmark-agent enroll --join 'touchmark:/)
  assert.equal(((await json('tokens', 'revoke', made.id)) as { state: string }).state, 'revoked')
})

test('a policy is tested offline, tried, applied, and asked why', async (t) => {
  const { folder, json, code, touchmark } = await open(t)
  const file = (name: string, source: string) => {
    writeFileSync(join(folder, name), source)
    return join(folder, name)
  }
  const newer = defaultPolicy.replace('version: 1 ', 'version: 2 ')
  const good = file('good.yaml', newer)
  const failing = file('failing.yaml', newer.replace('expect: allow', 'expect: deny'))
  const broken = file('broken.yaml', newer.replace('roles:', 'rules:'))
  const report = (await json('policy', 'test', good)) as { passed: number; failed: []; cases: { name: string }[] }
  assert.deepEqual([report.passed, report.failed, report.cases.length], [tests, [], tests])
  assert.equal(await code('policy', 'test', failing), 8)
  const mistake = await touchmark('policy', 'test', broken)
  assert.deepEqual([mistake.code, /broken\.yaml:\d+:\d+: /.test(mistake.stderr)], [8, true])
  assert.equal(await code('policy', 'test', join(folder, 'absent.yaml')), 1)

  assert.equal(((await json('policy', 'apply', good, '--dry-run')) as { dryRun: boolean }).dryRun, true)
  assert.equal(((await json('policy', 'show')) as { version: number }).version, 1)
  assert.equal(await code('policy', 'apply', broken), 1)
  assert.equal(((await json('policy', 'apply', good)) as { version: number }).version, 2)
  assert.match((await touchmark('policy', 'apply', good)).stderr, /in force already/)
  const stale = await touchmark('policy', 'apply', file('stale.yaml', defaultPolicy))
  assert.deepEqual([stale.code, /\[POLICY_VERSION\]/.test(stale.stderr)], [5, true])

  const own = ['policy', 'can', '--tier', 'token', 'd1', 'publish'] as const
  assert.equal(await code(...own, 'devices/d1/telemetry/t'), 0)
  const denied = await touchmark(...own, 'devices/d2/telemetry/t', '--explain')
  assert.equal(denied.code, 4)
  assert.match(denied.stdout, /no_rule/)
  assert.match(denied.stdout, /device\/telemetry +policy\.yaml:\d+:\d+|device\/telemetry +good\.yaml:\d+:\d+/)
  assert.equal(await code(...own, 'devices/d1/telemetry/t', '--from', '2001:db8::1', '--at', '2027-01-01T00:00:00Z'), 0)
  assert.equal(await code(...own, 'devices/d1/telemetry/t', '--from', 'nowhere'), 2)
  assert.equal(await code(...own, 'devices/d1/telemetry/t', '--at', 'never'), 2)
  assert.equal(await code('policy', 'can', 'd1', 'shout', 'a'), 2)
  assert.equal(await code('policy', 'can', 'nobody', 'publish', 'a'), 3)
})

test('the policies that were in force are told and shown, and one of them is put back when its number is typed', async (t) => {
  const { folder, json, code, touchmark } = await open(t)
  const file = join(folder, 'newer.yaml')
  const newer = defaultPolicy.replace('version: 1 ', 'version: 2 ').replace('max: 4', 'max: 5')
  writeFileSync(file, newer)
  assert.equal(await code('policy', 'rollback', '--yes'), 3)
  const diff = await touchmark('policy', 'diff', file)
  assert.match(diff.stdout, /^device +gains +- +sessions +4 +5/m)
  assert.match(diff.stderr, /^From version 1 to 2, of 0 known devices:$/m)
  await json('policy', 'apply', file, '--comment', 'new site')
  const changes = ((await json('policy', 'diff', '--from', '1')) as { changes: readonly { what: string }[] }).changes
  assert.deepEqual(
    changes.map(({ what }) => what),
    ['sessions'],
  )
  assert.match((await touchmark('policy', 'diff')).stderr, /^They give the same rights\.$/m)
  assert.match((await run('/', ['policy', 'diff', file, '--from-file', file])).stderr, /^They give the same/)
  assert.deepEqual([await code('policy', 'diff', file, '--to', '1'), await code('policy', 'diff', '--to', '9')], [2, 3])
  const listed = (await touchmark('policy', 'history')).stdout.trimEnd().split('\n')
  assert.match(listed[1] ?? '', /^2 \* +\d{4}-.*Z +admin +\d+ +- +\d+ +[0-9a-f]{12} +new site$/)
  assert.match(listed[2] ?? '', /^1 +\d{4}-.*Z +touchmark +\d+ /)
  assert.equal((await touchmark('policy', 'show', '1')).stdout, `${defaultPolicy.trimEnd()}\n`)
  assert.deepEqual([await code('policy', 'show', '7'), await code('policy', 'show', 'seven')], [3, 2])

  const tried = await touchmark('policy', 'rollback', '--dry-run')
  assert.match(tried.stdout, /^version +3\nsays the same as +1\n/)
  assert.equal(await code('policy', 'rollback'), 2, 'nobody is there to type the number')
  const back = await json('policy', 'rollback', '--yes', '--comment', 'pumps fell silent')
  assert.deepEqual((({ version, restores }) => [version, restores])(back as Record<string, number>), [3, 1])
  assert.equal((await touchmark('policy', 'show')).stdout, defaultPolicy.replace('version: 1 ', 'version: 3 '))
  const [last] = (await json('policy', 'history')) as readonly Record<string, unknown>[]
  const recorded = await touchmark('audit', 'search', 'event:policy.activate', '--limit', '1', '-o', 'json')
  const record = JSON.parse(recorded.stdout) as Record<string, unknown>
  const told = [last?.['record'], last?.['hash'], last?.['comment'], last?.['restores']]
  assert.deepEqual(told, [record['sequence'], record['policyHash'], record['comment'], record['restores']])
  assert.equal(await code('policy', 'rollback', '3', '--yes'), 5)
})

test('a record is proven by the server or from its folder, and checked without either', async (t) => {
  const { folder, running, touchmark } = await open(t)
  const inFolder = (name: string) => join(folder, name)
  const [proof, again, elsewhere] = [inFolder('1.tlog-proof'), inFolder('2.tlog-proof'), inFolder('3.tlog-proof')]
  const key = readFileSync(join(folder, 'data', 'operator', 'audit.vkey'), 'utf8').trim()
  assert.equal((await touchmark('audit', 'prove', '1', '-f', proof)).code, 0, 'however young it is')
  const { code, stdout } = await run(folder, ['audit', 'verify', '--proof', proof, '--vkey', key])
  assert.equal(code, 0)
  assert.match(stdout, /^ok: record 1 of \d+, root [0-9a-f]{64}, signed by touchmark\.local\/audit\n[-\d]{10} .*\n$/)
  assert.equal((await touchmark('audit', 'prove', '999999')).code, 3)
  assert.equal((await touchmark('audit', 'prove', 'one')).code, 2)
  const read = await touchmark('audit', 'search', 'event:audit.read', '-o', 'json')
  assert.match(read.stdout, /proof of record 1/)
  await running.stop()

  const printed = await touchmark('audit', 'prove', '1', '--dir', join(folder, 'data', 'audit'))
  writeFileSync(again, printed.stdout)
  const shown = await touchmark('audit', 'verify', '--proof', again, '-o', 'json')
  assert.equal((JSON.parse(shown.stdout) as { record: { sequence: number } }).record.sequence, 1)
  writeFileSync(elsewhere, printed.stdout.replace('\nindex 1\n', '\nindex 2\n'))
  assert.equal((await touchmark('audit', 'verify', '--proof', elsewhere)).code, 8)
  assert.equal((await touchmark('audit', 'verify', '--proof', join(folder, 'nothing'))).code, 1)
  assert.equal((await touchmark('audit', 'prove', '999999', '--dir', join(folder, 'data', 'audit'))).code, 3)
  assert.equal((await touchmark('audit', 'prove', '1', '--dir', join(folder, 'nothing'))).code, 1)
})

test('the key of checkpoints changes while the server runs, and the log is held against what was kept', async (t) => {
  const { folder, running, touchmark, json } = await open(t)
  const inData = (...names: readonly string[]) => join(folder, 'data', ...names)
  const [kept, oldKey] = [join(folder, 'kept'), readFileSync(inData('operator', 'audit.vkey'), 'utf8').trim()]
  writeFileSync(kept, readFileSync(inData('audit', 'log', 'checkpoint')))
  const rotated = (await json('audit', 'rotate-key', '--comment', 'once a year')) as Record<string, string>
  assert.equal(rotated['previousVerifierKey'], oldKey)
  const newKey = readFileSync(inData('operator', 'audit.vkey'), 'utf8').trim()
  assert.equal(rotated['verifierKey'], newKey)
  assert.equal((await touchmark('audit', 'rotate-key')).code, 5)
  const recorded = await touchmark('audit', 'search', 'event:log.key_rotate', '-o', 'json')
  const { comment, sequence } = JSON.parse(recorded.stdout) as { comment: string; sequence: number }
  assert.equal(comment, 'once a year')
  const proof = join(folder, 'rotated.tlog-proof')
  await touchmark('audit', 'prove', String(sequence), '-f', proof)
  const proven = await json('audit', 'verify', '--proof', proof, '--vkey', oldKey)
  assert.equal((proven as { record: { verifierKey: string } }).record.verifierKey, newKey, 'the old key vouches for it')
  await running.stop()

  const keys = ['--vkey', oldKey, '--vkey', newKey]
  for (const key of [oldKey, newKey]) assert.equal((await touchmark('audit', 'verify', '--vkey', key)).code, 0)
  const held = await touchmark('audit', 'verify', ...keys, '--against', kept)
  assert.deepEqual([held.code, /kept: prefix: /.test(held.stdout)], [0, true], held.stderr)
  const foreign = await touchmark('audit', 'verify', '--vkey', newKey, '--against', kept)
  assert.deepEqual([foreign.code, /untrusted/.test(foreign.stdout)], [8, true])
  assert.equal((await touchmark('audit', 'verify', '--against', join(folder, 'nothing'))).code, 1)
})

test('the log is shown, searched and verified; a changed byte fails the check', async (t) => {
  const { folder, running, touchmark } = await open(t)
  const tail = (await touchmark('audit', 'tail', '-n', '2', '-o', 'json')).stdout.trimEnd().split('\n')
  assert.equal(tail.length, 2)
  const [first = 0, second = 0] = tail.map((line) => (JSON.parse(line) as { sequence: number }).sequence)
  assert.equal(second, first + 1)
  const nothing = await touchmark('audit', 'search', '--decision', 'deny')
  assert.deepEqual([nothing.code, nothing.stdout], [0, ''])
  const started = await touchmark('audit', 'search', '--event', 'server.start', '--since', '1h')
  assert.match(started.stdout, /^[-\d]{10} [\d:.]{12}Z  server\.start {9}- {15}  [\d.]+  "Node\.js v.*"  on \S+\n$/)
  const asText = await touchmark('audit', 'search', 'event:server.start', 'since:1h')
  assert.equal(asText.stdout, started.stdout)
  assert.match((await touchmark('audit', 'search', '--limit', '2')).stderr, /--limit N shows more, --after \d+ goes on/)
  const mistaken = await touchmark('audit', 'search', 'event:server.start divice:d1')
  assert.deepEqual([mistaken.code, /column 20: .*\[QUERY_INVALID\]/.test(mistaken.stderr)], [2, true])
  assert.equal(await touchmark('audit', 'tail', 'order:oldest').then(({ code }) => code), 2)
  await running.stop()
  const verified = await touchmark('audit', 'verify')
  assert.equal(verified.code, 0)
  assert.match(verified.stdout, /^ok: [\d,]+ records, root [0-9a-f]{64}, signed by \S+, 0 not yet covered\n$/)
  assert.equal((await touchmark('audit', 'verify', '--vkey', 'other+12345678+AAAA')).code, 2)
  writeFileSync(join(folder, 'data', 'audit', 'log', 'checkpoint'), 'not a note')
  assert.equal((await touchmark('audit', 'verify')).code, 8)
})
