import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { AuditLog, verifyLog } from '#audit'
import { signCheckpoint, verifierKeyOf } from '../../audit/tree/checkpoint.js'
import { TiledTree } from '../../audit/tree/tiled-tree.js'
import {
  changeFile,
  cut,
  type Damage,
  flip,
  olderSegment,
  sample,
  tamperings,
  walSegment,
  writeSample,
} from './tampering.js'
import { origin } from './world.js'

const { covered, uncovered } = sample

let folder = ''
const { privateKey: signingKey } = generateKeyPairSync('ed25519')
const verifierKey = verifierKeyOf(origin, signingKey)

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'touchmark-verify-'))
  await writeSample(intact(), signingKey)
})
after(() => rm(folder, { recursive: true, force: true }))

test('an intact log passes, with its size, its root and what is not covered yet', async () => {
  const checked: number[] = []
  const report = await verifyLog(intact(), verifierKey, { onProgress: (count) => checked.push(count) })
  assert.equal(report.ok, true)
  assert.equal(report.size, covered)
  assert.equal(report.uncovered, uncovered)
  assert.match(report.root, /^[0-9a-f]{64}$/)
  assert.deepEqual(checked, [512, 700])
})

for (const { name, firstBad, damage } of tamperings) {
  test(`case 61: verify names record ${firstBad} for ${name}`, async () => {
    const directory = await copy(name)
    await damage((path) => join(directory, path))
    const report = await verifyLog(directory, verifierKey)
    assert.equal(report.ok, false)
    assert.equal(report.firstBad?.index, firstBad, report.firstBad?.what)
  })
}

test('a verifier key that is none is refused with AUDIT_INVALID', async () => {
  for (const text of ['', origin, `${origin}+00000000+AAAA`, verifierKey.replace('+', '+0')]) {
    await assert.rejects(verifyLog(intact(), text), { code: 'AUDIT_INVALID' })
  }
})

test('an incomplete last record is cut when the log is opened, and a record says so', async () => {
  const directory = await copy('torn')
  await cut(join(directory, walSegment), 5)
  assert.equal((await verifyLog(directory, verifierKey)).uncovered, uncovered - 1)
  const log = await open(directory)
  assert.equal(log.size, covered + uncovered) // one was cut, and one says so
  await log.close()
  for await (const record of log.records(covered + uncovered - 1)) assert.equal(record.event, 'log.recovery')
  assert.ok((await verifyLog(directory, verifierKey)).ok)
})

test('zeros that a file system left behind are cut as well', async () => {
  const directory = await copy('zeros')
  await writeFile(join(directory, walSegment), Buffer.alloc(5000), { flag: 'a' })
  const log = await open(directory)
  assert.equal(log.size, covered + uncovered + 1)
  await log.close()
})

refused('a flipped byte above the checkpoint', (at) => changeFile(at(walSegment), (bytes) => flip(bytes, 40)))
refused('a flipped byte in the last record', (at) =>
  changeFile(at(walSegment), (bytes) => flip(bytes, bytes.length - 1)),
)
refused('a damaged length that reaches over the end', (at) =>
  changeFile(at(walSegment), (bytes) => flip(bytes, 2, 0x7f)),
)
refused('a missing write-ahead log', async (at) => {
  await rm(at(olderSegment))
  await rm(at(walSegment))
})
refused('a missing older segment', (at) => rm(at(olderSegment)))
refused('a write-ahead log of later records', (at) => cp(at(walSegment), at('wal/0000000000000800.seg')))
refused('a checkpoint that was cut', (at) => cut(at('log/checkpoint'), 10))
refused('a missing tile below the write-ahead log', (at) => rm(at('log/tile/0/001')))
refused('a damaged tile below the write-ahead log', (at) =>
  changeFile(at('log/tile/0/001'), (bytes) => flip(bytes, 30)),
)
refused('a checkpoint of more than there is', async (at) => {
  const note = signCheckpoint({ origin, size: 701, root: new TiledTree().root() }, signingKey)
  await writeFile(at('log/checkpoint'), note)
})

function refused(name: string, damage: Damage): void {
  test(`case 61: the log refuses to start with ${name}`, async () => {
    const directory = await copy(`start ${name}`)
    await damage((path) => join(directory, path))
    await assert.rejects(open(directory), { code: 'AUDIT_CORRUPT' })
  })
}

function open(directory: string): Promise<AuditLog> {
  return AuditLog.open({ directory, origin, signingKey, now: () => 0 })
}

function intact(): string {
  return join(folder, 'intact')
}

async function copy(name: string): Promise<string> {
  const directory = join(folder, name)
  await cp(intact(), directory, { recursive: true })
  return directory
}
