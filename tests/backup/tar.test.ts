import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { decodeHeader, encodeHeader } from '../../backup/tar.js'
import { member, written } from './world.js'

test('a header is read as it was written, and nothing else is read as one', () => {
  const header = { name: 'audit/log/tile/entries/x001/x234/067.p/255', size: 8 ** 11 - 1, time: 1_795_491_147 }
  const block = encodeHeader(header)
  assert.deepEqual(decodeHeader(block), header)
  for (let at = 0; at < block.length; at++) {
    const other = Buffer.from(block)
    other[at] = (other[at] ?? 0) ^ 1
    assert.throws(() => decodeHeader(other), { code: 'BACKUP_INVALID' }, `byte ${at}`)
  }
})

test('no header is written for a name that could not be read back', () => {
  for (const name of ['', 'with space', 'é', 'x'.repeat(100), 'a\nb']) {
    assert.throws(() => encodeHeader({ name, size: 0, time: 0 }), TypeError, name)
  }
  assert.throws(() => encodeHeader({ name: 'a', size: 8 ** 11, time: 0 }), TypeError)
})

test('tar unpacks what is written here, and sha256sum finds all of it', async (t) => {
  const folder = temporaryFolder(t)
  const names = ['store/00000000.rows', 'ca/root.pem', 'audit/log/tile/0/x001/000', 'audit/log/checkpoint']
  const contents = ['', 'x', 'x'.repeat(512), 'x'.repeat(1025)]
  const backup = await written(...names.map((name, at) => member(name, contents[at])))
  writeFileSync(join(folder, 'b.tar'), backup)
  execFileSync('tar', ['xf', 'b.tar'], { cwd: folder })
  const checked = execFileSync('sha256sum', ['-c', 'SHA256SUMS'], { cwd: folder, encoding: 'utf8' })
  assert.equal(checked, ['backup.json', ...names].map((name) => `${name}: OK\n`).join(''))
  for (const [at, name] of names.entries()) assert.equal(readFileSync(join(folder, name), 'utf8'), contents[at])
})

test('what tar makes of the same files is refused: owners, modes and folders are none of ours', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'b.tar'), await written(member('ca/root.pem')))
  execFileSync('tar', ['xf', 'b.tar'], { cwd: folder })
  const other = execFileSync('tar', ['c', '--format=ustar', 'backup.json', 'ca', 'SHA256SUMS'], { cwd: folder })
  assert.throws(() => decodeHeader(other.subarray(0, 512)), { code: 'BACKUP_INVALID' })
})

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-tar-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}
