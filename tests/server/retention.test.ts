import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { AuditLog } from '#audit'
import { parseByteSize } from '#protocol'
import { parseConfigFile } from '../../server/config-file.js'
import { published } from '../audit/world.js'
import { run, temporaryFolder, up } from './running.js'

test('a server forgets what it need not keep, says so, and starts again from what is left', async (t) => {
  const folder = temporaryFolder(t)
  const data = join(folder, 'data')
  const touchmark = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(folder, args)
    assert.equal(code, 0, stderr)
    return stdout
  }
  await (await up(folder)).stop()
  for (let rounds = 0; rounds < 3; rounds++) await append(data, 400)

  const dryRun = JSON.parse(await touchmark('-o', 'json', 'audit', 'prune', '--dry-run', '--bytes', '1kB')) as Survey
  assert.equal(dryRun.prunable?.to, 1024)
  assert.match(await touchmark('audit', 'prune', '--dry-run', '--days', '9'), /would go +nothing/)
  assert.equal((await run(folder, ['audit', 'prune', '--days', '9'])).code, 2)

  const config = join(data, 'touchmark.yaml')
  const kept = readFileSync(config, 'utf8')
  assert.match(kept, /^ {2}retain: \{\}$/m)
  writeFileSync(config, kept.replace('retain: {}', 'retain: {bytes: 1kB}'))
  for (let starts = 0; starts < 2; starts++) {
    const server = await up(folder)
    while ((await firstKept((...args) => run(folder, args))) < 1024);
    assert.match(await touchmark('status'), /kept from 1024 on/)
    assert.match(await touchmark('audit', 'search', 'event:log.retention'), /log\.retention +- +size +1024/)
    assert.equal(await server.stop(), 0)
  }
  assert.match(await touchmark('audit', 'verify'), /^ok: .* of the first 1,024 only the hashes are kept$/m)
})

test('of a log whose beginning has gone all that is kept is searched, replayed and proven; an older proof still holds', async (t) => {
  const folder = temporaryFolder(t)
  const data = join(folder, 'data')
  const touchmark = (...args: readonly string[]) => run(folder, args)
  await (await up(folder)).stop()
  for (let rounds = 0; rounds < 3; rounds++) await append(data, 400)
  const early = await touchmark('audit', 'prove', '100', '--dir', join(data, 'audit'), '-f', join(folder, 'early'))
  assert.equal(early.code, 0, early.stderr)

  const config = join(data, 'touchmark.yaml')
  writeFileSync(config, readFileSync(config, 'utf8').replace('retain: {}', 'retain: {bytes: 1kB}'))
  const server = await up(folder)
  while ((await firstKept(touchmark)) < 1024);

  const said = ['--session', published(0).session]
  const found = await touchmark('audit', 'search', ...said, '--order', 'oldest', '--limit', '9999', '-o', 'json')
  const sequences = found.stdout
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as Numbered).sequence)
  assert.equal(sequences[0], 1024)
  assert.deepEqual(
    sequences,
    sequences.toSorted((one, other) => one - other),
  )
  for (const who of [said, ['--device', 'sensor-7']]) {
    const replayed = await touchmark('audit', 'replay', ...who, '--speed', 'max')
    assert.equal(replayed.stdout.trimEnd().split('\n').length, sequences.length)
    assert.match(replayed.stderr, /not its beginning/)
  }

  const late = await touchmark('audit', 'prove', '1024', '-f', join(folder, 'late'))
  assert.equal(late.code, 0, late.stderr)
  for (const proof of ['early', 'late']) {
    const verified = await touchmark('audit', 'verify', '--proof', join(folder, proof))
    assert.match(verified.stdout, /^ok: record (100|1024) of /, verified.stderr)
  }
  for (const where of [[], ['--dir', join(data, 'audit')]]) {
    const gone = await touchmark('audit', 'prove', '100', ...where)
    assert.deepEqual([gone.code, gone.stdout], [5, ''])
    assert.match(gone.stderr, /record 100 is not kept.*\[AUDIT_GONE\]/)
  }
  assert.equal(await server.stop(), 0)
})

test('what is kept is given in days, in bytes with a unit, or not at all', () => {
  const retain = (text: string) => parseConfigFile(`audit: { retain: ${text} }`, 'touchmark.yaml').audit?.retain
  assert.deepEqual(retain('{ days: 400, bytes: 50GB }'), { days: 400, bytes: 50e9 })
  assert.deepEqual(retain('{ bytes: 3 MiB }'), { bytes: 3 * 1024 ** 2 })
  assert.deepEqual(retain('{}'), {})
  for (const text of [
    '{ days: 0 }',
    '{ days: 1.5 }',
    '{ bytes: 50 }',
    '{ bytes: 0GB }',
    '{ bytes: 1gb }',
    '{ years: 1 }',
  ])
    assert.throws(() => retain(text), { code: 'CONFIG_INVALID' }, text)
  for (const text of ['', 'GB', '-1GB', '1.5GB', '1iB', '99999999TB', '1GB '])
    assert.throws(() => parseByteSize(text), { code: 'INVALID_MESSAGE' }, text)
})

interface Numbered {
  readonly sequence: number
}

async function firstKept(
  touchmark: (...args: readonly string[]) => Promise<{ readonly stdout: string }>,
): Promise<number> {
  const { stdout } = await touchmark('-o', 'json', 'status')
  return (JSON.parse(stdout) as { audit: { first: number } }).audit.first
}

interface Survey {
  readonly prunable?: { readonly to: number }
}

/** What a while with many messages would have written. */
async function append(data: string, count: number): Promise<void> {
  const signingKey = createPrivateKey(readFileSync(join(data, 'keys', 'audit.key')))
  const origin = 'touchmark.local/audit'
  const log = await AuditLog.open({ directory: join(data, 'audit'), origin, signingKey, now: Date.now })
  for (let index = 0; index < count; index++) log.append(published(index))
  await log.close()
}
