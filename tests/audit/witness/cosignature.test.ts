import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { signCheckpoint, verifierKeyOf } from '../../../audit/tree/checkpoint.js'
import { parseNote } from '../../../audit/tree/note.js'
import { cosign, parseWitnessKey, verifyCosignature, witnessKeyOf } from '../../../audit/witness/cosignature.js'
import { needs } from '../../needs.js'
import { createHistory, origin } from './history.js'

const execute = promisify(execFile)
const now = 1_790_000_000_000
const name = 'witness.test/w'
const { privateKey } = generateKeyPairSync('ed25519')
const key = parseWitnessKey(witnessKeyOf(name, privateKey))
const history = createHistory(40)

const goPackages = '/usr/share/gocode'

test(
  'Go opens a cosigned checkpoint, and no other',
  needs('go', `${goPackages}/src/golang.org/x/mod/sumdb/tlog/tlog.go`),
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'touchmark-cosignature-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    const env = { ...process.env, GO111MODULE: 'off', GOPATH: goPackages, CGO_ENABLED: '0' }
    const program = join(folder, 'check')
    await execute('go', ['build', '-o', program, './tests/audit/witness/third-party'], { env })
    const check = async (note: string, witnessKey = witnessKeyOf(name, privateKey)) => {
      const file = join(folder, 'note')
      await writeFile(file, note)
      return (await execute(program, [file, history.verifierKey, witnessKey])).stdout
    }
    const checkpoint = history.checkpoint(40)
    const line = cosign(checkpoint, name, privateKey, now)
    assert.equal(await check(checkpoint + line), `${now / 1000}\n`)
    const other = generateKeyPairSync('ed25519').privateKey
    const refused: readonly (readonly [string, string?])[] = [
      [checkpoint],
      [checkpoint + cosign(history.checkpoint(39), name, privateKey, now)],
      [checkpoint + cosign(checkpoint, name, other, now)],
      [checkpoint + line, witnessKeyOf(name, other)],
      [checkpoint + line, verifierKeyOf(name, privateKey)],
      [history.forkAt(3).checkpoint(40) + line],
    ]
    for (const [note, witnessKey] of refused) await assert.rejects(check(note, witnessKey), { code: 1 }, note)
  },
)

test('a cosignature is of a checkpoint, with a time, by a key under a name', () => {
  const checkpoint = history.checkpoint(40)
  const read = (note: string, by = key) => {
    const { text, signatures } = parseNote(note)
    return verifyCosignature(text, signatures, by)
  }
  const line = cosign(checkpoint, name, privateKey, now + 999)
  assert.equal(read(checkpoint + line), now)
  assert.equal(read(checkpoint), undefined)
  assert.equal(read(checkpoint + cosign(checkpoint, 'another', privateKey, now)), undefined)
  assert.throws(() => read(history.checkpoint(39) + line), { code: 'AUDIT_INVALID' })
})

test('the key of a log is no key of a witness, nor the other way round', () => {
  assert.throws(() => parseWitnessKey(verifierKeyOf(name, privateKey)), { code: 'AUDIT_INVALID' })
  const asLog = signCheckpoint({ origin, size: 0, root: new Uint8Array(32) }, privateKey)
  const { text, signatures } = parseNote(asLog)
  assert.equal(verifyCosignature(text, signatures, parseWitnessKey(witnessKeyOf(origin, privateKey))), undefined)
})
