import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { parseProfileName, parseTrustDomain } from '#protocol'
import { type AttestationPurpose, qualifyingData } from '#tpm'

const purpose: AttestationPurpose = {
  binding: 'exporter',
  channel: new Uint8Array(32).fill(7),
  trustDomain: parseTrustDomain('fleet.example'),
  spki: new Uint8Array([1, 2, 3]),
  profile: parseProfileName('default'),
}

test('qualifying data is the hash that the join protocol names, part by part', () => {
  const sha256 = (data: string | Uint8Array) => createHash('sha256').update(data).digest()
  const expected = sha256(
    Buffer.concat([
      Buffer.from('touchmark-tpm-v1'),
      Buffer.of(1),
      sha256('fleet.example'),
      purpose.channel,
      sha256(purpose.spki),
      sha256('default'),
    ]),
  )
  assert.deepEqual(Buffer.from(qualifyingData(purpose)), expected)
})

test('qualifying data is another one as soon as anything is for something else', () => {
  const changes: readonly Partial<AttestationPurpose>[] = [
    {},
    { binding: 'nonce' },
    { channel: new Uint8Array(32).fill(8) },
    { trustDomain: parseTrustDomain('other.example') },
    { spki: new Uint8Array([1, 2, 4]) },
    { profile: parseProfileName('strict') },
  ]
  const all = changes.map((change) => Buffer.from(qualifyingData({ ...purpose, ...change })).toString('hex'))
  assert.equal(new Set(all).size, changes.length)
})
