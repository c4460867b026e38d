import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { DeviceView } from '#protocol'
import type { Imported } from '../../../cli/import/import-devices.js'
import { run, temporaryFolder, up } from '../../server/running.js'

test('devices come from a CSV file with their labels, once, and the log says who wanted it and why', async (t) => {
  const { importing, touchmark } = await openWorld(t)
  const csv = `\ufeffid,ek_hash,idevid_spki,label.site,profile\r\n"pump-1",${hash(1)},,oslo,\r\npump-2,,${hash(2)},,default\r\n`
  assert.deepEqual(await importing(csv, '--dry-run'), [0, counts(2, 2, 0), []])
  assert.deepEqual(await devicesOf(touchmark), [])
  assert.deepEqual(await importing(csv, '--reason', 'order 4711'), [0, counts(2, 2, 0), []])
  assert.deepEqual(await importing(csv, '--reason', 'again'), [0, counts(2, 0, 2), []])
  const devices = await devicesOf(touchmark)
  assert.deepEqual(
    devices.map(({ id, labels, anchors }) => [id, labels, anchors[0]?.kind]),
    [
      ['pump-1', { site: 'oslo' }, 'ek'],
      ['pump-2', {}, 'idevid'],
    ],
  )
  const { stdout } = await touchmark('audit', 'search', 'event:device.register', '-o', 'json')
  const records = linesOf(stdout).map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
  assert.deepEqual(
    records.map(({ comment, operator }) => [comment, operator]),
    [
      ['order 4711', 'admin'],
      ['order 4711', 'admin'],
    ],
  )
})

test('every wrong row is named with its column, and while there is one nothing is registered', async (t) => {
  const { importing, touchmark } = await openWorld(t)
  await importing(`id,ek_hash\nold-1,${hash(1)}\n`, '--reason', 'first')
  const csv = [
    'id,ek_hash,idevid_spki,label.site,profile',
    `good-1,${hash(11)},,oslo,`,
    `a b,xyz,,${'o'.repeat(65)},a/b`,
    `good-1,${hash(12)},,,`,
    `twin,${hash(11).toUpperCase()},,,`,
    ',,,,',
    `both,${hash(13)},${hash(14)},,`,
    `short,${hash(15)}`,
    '',
    `old-1,${hash(16)},,,`,
    `new-1,${hash(1)},,,`,
    `good-2,${hash(17)},,,`,
  ].join('\n')
  const wrong = [
    '3 id',
    '3 profile',
    '3 ek_hash',
    '3 label.site',
    '4 id',
    '5 ek_hash',
    '6 ek_hash',
    '6 id',
    '7 idevid_spki',
    '8 ',
    '10 id',
    '11 ek_hash',
  ]
  assert.deepEqual(await importing(csv, '--reason', 'x'), [8, counts(10, 2, 0, 8), wrong])
  assert.equal((await devicesOf(touchmark)).length, 1)
  assert.deepEqual(await importing(csv, '--reason', 'x', '--skip-invalid'), [7, counts(10, 2, 0, 8), wrong])
  assert.deepEqual(
    (await devicesOf(touchmark)).map(({ id }) => id),
    ['good-1', 'good-2', 'old-1'],
  )
  const file = join(temporaryFolder(t), 'twice.csv')
  writeFileSync(file, `id,ek_hash\nd,${hash(21)}\nd,${hash(22)}\n`)
  const { stderr } = await touchmark('devices', 'import', file, '--dry-run')
  assert.match(stderr, /^row 3, id: d stands in row 2 already$/m)
})

test('a file that cannot be read as rows of devices says why, and changes nothing', async (t) => {
  const { touchmark, folder } = await openWorld(t)
  const refused = async (content: string | Uint8Array, ...args: readonly string[]) => {
    const file = join(folder, 'refused.csv')
    writeFileSync(file, content)
    const { code, stderr } = await touchmark('devices', 'import', file, ...args)
    return `${code} ${/\[(\w+)\]/.exec(stderr)?.[1] ?? stderr}`
  }
  const files: readonly (string | Uint8Array)[] = [
    '',
    '\n\n',
    'id\nd\n',
    `ek_hash\n${hash(1)}\n`,
    `id;ek_hash\nd;${hash(1)}\n`,
    `id,ek_hash,role\nd,${hash(1)},admin\n`,
    `id,id,ek_hash\nd,d,${hash(1)}\n`,
    `id,ek_hash,label.__proto__ x\nd,${hash(1)},x\n`,
    `id,ek_hash\n"d,${hash(1)}\n`,
    Buffer.from(`id,ek_hash\nd,${hash(1)}\n`, 'utf16le'),
  ]
  for (const content of files) assert.equal(await refused(content, '--dry-run'), '2 CSV_INVALID', String(content))
  assert.equal(await refused(`id,ek_hash\nd,${hash(1)}\n`), '2 USAGE', 'without a reason')
  const missing = await touchmark('devices', 'import', join(folder, 'missing.csv'), '--dry-run')
  assert.match(missing.stderr, /CANNOT_READ/)
})

test('what a row holds cannot steer the terminal of who imports it', async (t) => {
  const { touchmark, folder } = await openWorld(t)
  const file = join(folder, 'hostile.csv')
  writeFileSync(file, `id,ek_hash\n\u001b[2Jpump,${hash(1)}\n`)
  const { code, stdout, stderr } = await touchmark('devices', 'import', file, '--dry-run')
  assert.equal(code, 8)
  assert.ok(!`${stdout}${stderr}`.includes('\u001b'))
})

async function openWorld(t: TestContext) {
  const folder = temporaryFolder(t)
  await up(folder)
  const touchmark = (...args: readonly string[]) => run(folder, args)
  return {
    ...{ folder, touchmark },
    async importing(csv: string, ...args: readonly string[]) {
      const file = join(folder, 'devices.csv')
      writeFileSync(file, csv)
      const { code, stdout, stderr } = await touchmark('devices', 'import', file, ...args, '-o', 'json')
      assert.ok(stdout.startsWith('{'), stderr)
      const { rows, registered, unchanged, wrong, problems } = JSON.parse(stdout) as Imported
      return [code, counts(rows, registered, unchanged, wrong), problems.map(({ row, column }) => `${row} ${column}`)]
    },
  }
}

async function devicesOf(touchmark: (...args: readonly string[]) => ReturnType<typeof run>) {
  return JSON.parse((await touchmark('devices', 'ls', '-o', 'json')).stdout) as readonly DeviceView[]
}

function counts(rows: number, registered: number, unchanged: number, wrong = 0) {
  return { rows, registered, unchanged, wrong }
}

function hash(number: number): string {
  return `ab${String(number).padStart(62, '0')}`
}

function linesOf(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '')
}
