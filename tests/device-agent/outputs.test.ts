import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { IssuedGeneration } from '../../device-agent/generation.js'
import { decodeOutput, type Output } from '../../device-agent/outputs/output.js'
import { writeOutputs } from '../../device-agent/outputs/write-outputs.js'
import { needs } from '../needs.js'
import { asRoot, fillDisk, removeFillers } from '../small-disk.js'
import { issuedGeneration } from './issued-generation.js'
import { temporaryDisk, temporaryFolder } from './temporary-folder.js'

const generation = await issuedGeneration()
const inTpm: IssuedGeneration = {
  ...generation,
  key: {
    kind: 'tpm',
    tpm: '/dev/tpmrm0',
    stored: { public: new Uint8Array(), private: new Uint8Array() },
    proof: { binding: 'exporter' },
  },
}

const write = (output: Output, of = generation) => writeOutputs([output], of, () => undefined)
const modeOf = (path: string) => statSync(path).mode & 0o777

test('a set of PEM files is a key for whom it is meant, and certificates for everybody', async (t) => {
  const folder = join(temporaryFolder(t), 'new', 'folder')
  assert.deepEqual(await write({ kind: 'pem', folder, withoutKey: false, mode: 0o640 }), [])
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  assert.ok(new X509Certificate(read('cert.pem')).checkPrivateKey(createPrivateKey(read('key.pem'))))
  assert.equal(read('ca.pem'), generation.trustBundle)
  assert.deepEqual([modeOf(join(folder, 'key.pem')), modeOf(join(folder, 'cert.pem'))], [0o640, 0o644])
  assert.deepEqual(readdirSync(folder).sort(), ['ca.pem', 'cert.pem', 'key.pem'])
})

test('they belong to whom the settings name, and to nobody when there is no such user', asRoot(), async (t) => {
  const folder = temporaryFolder(t)
  chmodSync(folder, 0o755)
  assert.deepEqual(await write({ kind: 'pem', folder, withoutKey: false, owner: 'daemon' }), [])
  const { uid, gid } = statSync(join(folder, 'key.pem'))
  const [expectedUid, expectedGid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'daemon'])))
  assert.deepEqual([uid, gid], [expectedUid, expectedGid])
  const before = readFileSync(join(folder, 'key.pem'), 'utf8')
  const other = await issuedGeneration()
  const [problem = ''] = await write({ kind: 'pem', folder, withoutKey: false, owner: 'nobody-here' }, other)
  assert.match(problem, /knows no "nobody-here"/)
  assert.equal(readFileSync(join(folder, 'key.pem'), 'utf8'), before)
})

test('a link that waits at their place is replaced, and what it points at is left alone', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'victim'), 'precious')
  for (const name of ['key.pem', 'cert.pem', 'key.pem.unfinished']) symlinkSync('victim', join(folder, name))
  assert.deepEqual(await write({ kind: 'pem', folder, withoutKey: false }), [])
  assert.equal(readFileSync(join(folder, 'victim'), 'utf8'), 'precious')
  assert.match(readFileSync(join(folder, 'key.pem'), 'utf8'), /PRIVATE KEY/)
})

test('on another file system that is full, the set of before stays whole', asRoot(), async (t) => {
  const folder = temporaryDisk(t, 1)
  const output = { kind: 'pem', folder, withoutKey: false } as const
  assert.deepEqual(await write(output), [])
  fillDisk(folder, 0)
  const other = await issuedGeneration()
  assert.match((await write(output, other))[0] ?? '', /ENOSPC/)
  assert.deepEqual(
    readdirSync(folder).filter((name) => !name.endsWith('.filler')),
    ['ca.pem', 'cert.pem', 'key.pem'],
  )
  assert.equal(readFileSync(join(folder, 'cert.pem'), 'utf8'), generation.certificateChain)
  assert.equal(generation.key.kind === 'software' && generation.key.pem, readFileSync(join(folder, 'key.pem'), 'utf8'))
  removeFillers(folder)
  assert.deepEqual(await write(output, other), [])
})

test(
  'a PKCS #12 file opens with the password of its file, and is not written without one',
  needs('openssl'),
  async (t) => {
    const folder = temporaryFolder(t)
    const [file, passwordFile] = [join(folder, 'device.p12'), join(folder, 'password')]
    const output = { kind: 'pkcs12', file, passwordFile } as const
    assert.match((await write(output))[0] ?? '', /holds no password/)
    writeFileSync(passwordFile, 'correct horse\n', { mode: 0o600 })
    assert.deepEqual(await write(output), [])
    const said = execFileSync('openssl', [
      'pkcs12',
      '-in',
      file,
      '-passin',
      `file:${passwordFile}`,
      '-nodes',
      '-clcerts',
    ])
    assert.ok(new X509Certificate(said).checkPrivateKey(createPrivateKey(said)))
    assert.equal(modeOf(file), 0o600)
  },
)

test('what needs the key of a TPM is refused in words, and certificates alone are not', async (t) => {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'pem'))
  const at = (name: string) => ({ file: join(folder, name), pem: join(folder, 'pem') })
  for (const output of [
    { kind: 'pem', folder: join(folder, 'pem'), withoutKey: false },
    { kind: 'pkcs12', file: join(folder, 'p12'), passwordFile: join(folder, 'password') },
    { kind: 'mosquitto', ...at('bridge.conf') },
    { kind: 'paho', ...at('client.py') },
  ] as const) {
    assert.match((await write(output, inTpm))[0] ?? '', /in the TPM and cannot leave it/)
  }
  assert.deepEqual(readdirSync(folder), ['pem'])
  assert.deepEqual(readdirSync(join(folder, 'pem')), [])
  assert.deepEqual(await write({ kind: 'pem', folder: join(folder, 'pem'), withoutKey: true }, inTpm), [])
  assert.deepEqual(readdirSync(join(folder, 'pem')).sort(), ['ca.pem', 'cert.pem'])
})

test('settings give no key to everybody, and write no second line into another program’s settings', () => {
  for (const wrong of [
    { kind: 'pem', folder: '/x', mode: '0644' },
    { kind: 'pem', folder: '/x', mode: '0o600' },
    { kind: 'pem', folder: 'x' },
    { kind: 'pem', file: '/x' },
    { kind: 'pem', folder: '/x', passwordFile: '/y' },
    { kind: 'pkcs12', file: '/x' },
    { kind: 'mosquitto', file: '/x', pem: '/y', topics: ['# out 1\npassword_file /etc/shadow'] },
    { kind: 'paho', file: '/x', pem: '/y"; import os #' },
    { kind: 'jks', file: '/x' },
  ]) {
    assert.throws(() => decodeOutput(wrong, 'outputs[0]'), { code: 'INVALID_MESSAGE' }, JSON.stringify(wrong))
  }
})
