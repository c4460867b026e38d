import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import {
  parseCheckpoint,
  parseVerifierKey,
  signCheckpoint,
  verifierKeyOf,
  verifyCheckpoint,
} from '../../audit/tree/checkpoint.js'

const origin = 'touchmark.test/log'
const { privateKey } = generateKeyPairSync('ed25519')
const head = { origin, size: 12_345, root: new Uint8Array(32).fill(7) }

/** The key of the examples in golang.org/x/mod/sumdb/note. */
const goVerifierKey = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
const goSigningSeed = 'gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM='

test('writes verifier keys as Go’s note package does', () => {
  const pkcs8 = Buffer.concat([
    Buffer.from('302e020100300506032b657004220420', 'hex'),
    Buffer.from(goSigningSeed, 'base64'),
  ])
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  assert.equal(verifierKeyOf('PeterNeumann', key), goVerifierKey)
  assert.equal(parseVerifierKey(goVerifierKey).name, 'PeterNeumann')
})

test('a checkpoint says origin, size and root, and carries its signature', () => {
  const note = signCheckpoint(head, privateKey)
  const lines = note.split('\n')
  assert.deepEqual(lines.slice(0, 4), [origin, '12345', Buffer.from(head.root).toString('base64'), ''])
  assert.ok(lines[4]?.startsWith(`— ${origin} `))
  assert.equal(lines.length, 6)
  assert.deepEqual(verifyCheckpoint(note, verifierKeyOf(origin, privateKey)), head)
})

test('signatures of others beside ours do not matter', () => {
  const note = signCheckpoint(head, privateKey)
  const witness = `— witness.test/w ${Buffer.alloc(76).toString('base64')}\n`
  assert.deepEqual(verifyCheckpoint(note + witness, verifierKeyOf(origin, privateKey)), head)
})

test('refuses whatever the key’s owner did not sign', () => {
  const note = signCheckpoint(head, privateKey)
  const key = verifierKeyOf(origin, privateKey)
  const other = generateKeyPairSync('ed25519').privateKey
  const bad = [
    note.replace('12345', '12346'),
    note.replace(origin, 'touchmark.test/other'),
    signCheckpoint(head, other),
    signCheckpoint({ ...head, origin: 'other' }, privateKey),
    note.slice(0, note.indexOf('—')),
    note.slice(0, -1),
    note.replace('— ', '- '),
    note.replace(/.(?==\n$)/, (last) => String.fromCharCode(last.charCodeAt(0) + 1)), // the same bytes, spelt otherwise
    `${note}\n`,
    '',
  ]
  for (const text of bad) assert.throws(() => verifyCheckpoint(text, key), { code: 'AUDIT_INVALID' }, text)
})

test('refuses what is no checkpoint', () => {
  const signature = signCheckpoint(head, privateKey).split('\n\n')[1] ?? ''
  const root = Buffer.alloc(32).toString('base64')
  const bad = [
    `o\n01\n${root}\n`,
    `o\n-1\n${root}\n`,
    `o\n9007199254740993\n${root}\n`,
    `o\n1\nAAAA\n`,
    `o\n1\n`,
    `a b\n1\n${root}\n`,
    `o\n1\n${root.slice(0, -1)}\n`,
  ]
  for (const text of bad) assert.throws(() => parseCheckpoint(`${text}\n${signature}`), { code: 'AUDIT_INVALID' }, text)
  assert.equal(parseCheckpoint(`o\n1\n${root}\nan extension\n\n${signature}`).size, 1)
})

test('refuses keys that are not Ed25519 and names that are no origin', () => {
  const { privateKey: ecKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  assert.throws(() => verifierKeyOf(origin, ecKey), { code: 'AUDIT_INVALID' })
  for (const name of ['', 'a b', 'a+b', 'a\n']) {
    assert.throws(() => verifierKeyOf(name, privateKey), { code: 'AUDIT_INVALID' }, name)
  }
})
