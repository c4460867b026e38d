import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { encodeManifest } from '../../backup/manifest.js'
import type { Member } from '../../backup/member.js'
import { readBackup } from '../../backup/read.js'
import { encodeHeader, endOfArchive, paddingOf } from '../../backup/tar.js'
import { unfinished } from '../../backup/write.js'
import { each, manifest, member, readAll, written } from './world.js'

const members = [member('store/00000000.rows'), member('ca/root.pem', 'x'.repeat(512)), member('audit/log/checkpoint')]

test('gives back what was written, whatever the sizes of the chunks', async () => {
  const backup = await written(...members)
  assert.deepEqual((await readBackup(each([backup]))).manifest, manifest)
  for (const chunkBytes of [1, 511, 512, 513, backup.length]) {
    assert.deepEqual(await readAll(backup, chunkBytes), members)
  }
})

test('wherever it is cut, it is not finished', async () => {
  const backup = await written(...members)
  for (let length = 0; length < backup.length; length += 97) {
    await assert.rejects(readAll(backup.subarray(0, length)), { code: 'BACKUP_UNFINISHED' }, `at ${length}`)
  }
  await assert.rejects(readAll(backup.subarray(0, -1)), { code: 'BACKUP_UNFINISHED' })
})

test('whatever byte is another one, it is no backup', async () => {
  const backup = await written(...members)
  for (let at = 0; at < backup.length; at += 13) {
    const other = Buffer.from(backup)
    other[at] = (other[at] ?? 0) ^ 0x20
    await assert.rejects(readAll(other), { code: 'BACKUP_INVALID' }, `byte ${at}`)
  }
})

test('a member that is taken out, put in, twice there or in the place of another is seen', async () => {
  const [rows, root, checkpoint] = members
  assert.ok(rows && root && checkpoint)
  const said = [first(), ...members]
  for (const others of [
    [rows, root],
    [...members, member('keys/audit.key')],
    [rows, checkpoint, root],
    [...members, root],
  ]) {
    await assert.rejects(readAll(archive([first(), ...others], sumsOf(said))), { code: 'BACKUP_INVALID' })
  }
  assert.deepEqual(await readAll(archive(said, sumsOf(said))), members) // made this way it is one
})

test('no name leads out of the folder, or to what is never in a backup', async () => {
  const names = [
    ...['../x', '/etc/passwd', 'ca/../../x', 'ca//root.pem', './ca/root.pem', 'ca', 'ca/', 'ca/other.pem', '..'],
    ...['payload-keys/2026-11-24.key', 'audit/payload/2026-11-24/keys', 'operator/operator.key', 'restored.json'],
    ...['audit/wal/0000000000000000.seg', 'audit/log/../wal/x', 'audit/log/tile/0/../1/000', 'audit/log/tile/0/1000'],
    ...['store/0.rows', 'store/MANIFEST-000004', 'audit/log/witnessed/../../x', 'backup.json', 'touchmark.yaml~'],
  ]
  for (const name of names) {
    const all = [first(), member(name)]
    await assert.rejects(readAll(archive(all, sumsOf(all))), { code: 'BACKUP_INVALID' }, name)
  }
})

test('a link, a device, a folder or a long name is no member, even with a checksum that fits', async () => {
  for (const type of ['1', '2', '3', '5', 'L', 'x', 'g', '\0']) {
    const header = encodeHeader({ name: 'ca/root.pem', size: 0, time: 0 })
    header.write(type, 156)
    header.write('        ', 148)
    header.write(
      `${header
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
    )
    const backup = Buffer.concat([archived(first()), header])
    await assert.rejects(readAll(backup), { code: 'BACKUP_INVALID' }, type)
  }
})

test('a member that says it is larger than any can be is refused before it is read', async () => {
  const header = encodeHeader({ name: 'store/00000000.rows', size: 8 ** 11 - 1, time: 0 })
  await assert.rejects(readAll(Buffer.concat([archived(first()), header])), { code: 'BACKUP_INVALID' })
})

test('a backup of a format to come is refused with its number, whatever else it says', async () => {
  const backup = archived(member('backup.json', '{"format": 2, "more": true}'))
  await assert.rejects(readAll(backup), { code: 'BACKUP_INVALID', message: /format 1, got 2/ })
})

test('a manifest that is none is refused', async () => {
  for (const json of ['', 'null', '[]', '{"format": 1}', '{"format": 1, "x": 1}', '{"epoch": 1, "format": 1}']) {
    await assert.rejects(readAll(archived(member('backup.json', json))), { code: 'BACKUP_INVALID' }, json)
  }
  await assert.rejects(readAll(archived(member('ca/root.pem'))), { code: 'BACKUP_INVALID' })
})

test('where it broke off it says why, in words that steer no terminal', async () => {
  const backup = Buffer.concat([archived(first()), unfinished('the disk\u001b[2J is bad')])
  await assert.rejects(readAll(backup), { code: 'BACKUP_UNFINISHED', message: /: the disk \[2J is bad;/ })
})

test('what comes behind the end makes it another file', async () => {
  const backup = await written(...members)
  await assert.rejects(readAll(Buffer.concat([backup, Buffer.alloc(1)])), { code: 'BACKUP_INVALID' })
})

function first(): Member {
  return { name: 'backup.json', bytes: encodeManifest(manifest) }
}

function sumsOf(all: readonly Member[]): Member {
  const lines = all.map(({ name, bytes }) => `${createHash('sha256').update(bytes).digest('hex')}  ${name}\n`)
  return member('SHA256SUMS', lines.join(''))
}

function archive(all: readonly Member[], sums: Member): Buffer {
  return Buffer.concat([...[...all, sums].map(archived), endOfArchive])
}

function archived({ name, bytes }: Member): Buffer {
  return Buffer.concat([encodeHeader({ name, size: bytes.length, time: 0 }), bytes, paddingOf(bytes.length)])
}
