import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { createCertificate, createKeyPair, encodePem, fingerprintOf, oids, readAuthority, spkiOf } from '#x509'
import { parseConfigFile, renderConfigFile } from '../../server/config-file.js'
import { readConfig } from '../../server/config.js'
import { defaultMakers, knownMakers, readKnownMakers, tpmMakerIds } from '../../server/tpm-makers.js'
import { PathSearch } from '../../x509/path-search.js'
import { decodeCertificate } from '../../x509/certificate.js'
import { tableRows } from '../docs/tables.js'
import { temporaryFolder } from '../journeys/world.js'
import { makeIssuing, makeRoot } from '../x509/world.js'

const at = new Date('2026-11-23T00:00:00Z')
const makers = readKnownMakers(tpmMakerIds)

test('every bundled certificate is a CA’s that can be used, once, and each authority leads to a root of its maker', () => {
  const seen = new Set<string>()
  for (const { id, roots, intermediates, habits } of makers) {
    assert.ok(roots.length > 0, id)
    const expiredIssuers = habits?.expiredAuthorities ?? false
    for (const der of [...roots, ...intermediates]) {
      readAuthority(der)
      assert.ok(!seen.has(fingerprintOf(der)), `${id}: ${new X509Certificate(der).subject}`)
      seen.add(fingerprintOf(der))
    }
    for (const der of intermediates) {
      const search = new PathSearch({ anchors: roots, intermediates }, { at, purpose: 'ek', expiredIssuers })
      assert.ok(search.extend([decodeCertificate(der)]).length >= 2, `${id}: ${new X509Certificate(der).subject}`)
    }
  }
})

test('the table says of each bundled certificate where it was published, under which licence, and which it is', () => {
  const [, ...rows] = readFileSync('tpm-makers/PROVENANCE.tsv', 'utf8').trim().split('\n')
  const listed = rows.map((row) => row.split('\t'))
  const bundled = makers.flatMap(({ id, roots, intermediates }) => [
    ...roots.map((der) => [`${id}/roots.pem`, fingerprintOf(der)]),
    ...intermediates.map((der) => [`${id}/intermediates.pem`, fingerprintOf(der)]),
  ])
  assert.deepEqual(listed.map(([file, sha256]) => [file, sha256]).sort(), bundled.sort())
  for (const [file, , subject, notAfter, source, licence] of listed) {
    assert.ok(subject && notAfter && licence, file)
    assert.match(source ?? '', /^https:\/\/github\.com\/[^/]+\/[^/]+\/blob\/[0-9a-f]{40}\//, file)
  }
})

test('what lies beside the code is what the code knows, and what the operator’s guide names', () => {
  const folders = readdirSync('tpm-makers', { withFileTypes: true }).filter((entry) => entry.isDirectory())
  assert.deepEqual(folders.map(({ name }) => name).sort(), [...tpmMakerIds].sort())
  const rows = tableRows(readFileSync('docs/operator.md', 'utf8'), 'Id', 'Maker')
  const written = rows.map(([id = '', , trusted = '']) => [id.slice(1, -1), trusted === 'by default'])
  assert.deepEqual(written.sort(), tpmMakerIds.map((id) => [id, defaultMakers.includes(id)]).sort())
  for (const id of tpmMakerIds) assert.equal(defaultMakers.includes(id), knownMakers[id].kind === 'chip')
})

test('the configuration names whom to trust: all chips by default, only those it names, or nobody', (t) => {
  const file = join(temporaryFolder(t), 'touchmark.yaml')
  const trusted = (source: string) => {
    writeFileSync(file, source)
    const config = readConfig(['--config', file], {}, '0')
    assert.deepEqual(parseConfigFile(renderConfigFile({ ...config, ekRoots: [] }), '').ekMakers, config.trustedMakers)
    return config.ekMakers.filter(({ roots }) => roots.length > 0).map(({ id }) => id)
  }
  assert.deepEqual(trusted('names: []\n'), defaultMakers)
  assert.deepEqual(trusted('ekMakers: [GOOG, IFX, IFX]\n'), ['GOOG', 'IFX'])
  assert.deepEqual(trusted('ekMakers: []\n'), [])
  assert.throws(() => trusted('ekMakers: [ACME]\n'), { code: 'CONFIG_INVALID', message: /ekMakers\[0\].*AMD, IFX/s })
})

test('of an operator’s own files roots are told from authorities between, and what is of no use is refused', async (t) => {
  const folder = temporaryFolder(t)
  const file = join(folder, 'makers.pem')
  const read = (...certificates: readonly Uint8Array[]) => {
    writeFileSync(file, `our makers\n${certificates.map((der) => encodePem('CERTIFICATE', der)).join('')}`)
    const [own] = readConfig(['--data', folder, '--ek-root', file], {}, '0').ekMakers
    return own
  }
  const root = await makeRoot()
  const issuing = await makeIssuing(root)
  const own = read(issuing.certificate, root.certificate)
  assert.deepEqual([own?.roots, own?.intermediates], [[root.certificate], [issuing.certificate]])
  assert.equal(own?.habits, undefined)

  const { privateKey, publicKey } = createKeyPair('P-256')
  const blunt = { subject: [{ type: oids.commonName, value: 'no CA' }], spki: spkiOf(publicKey), keyUsage: [] }
  const year = { notBefore: new Date('2026-01-01'), notAfter: new Date('2027-01-01') }
  const leaf = await createCertificate({ ...blunt, ...year }, { privateKey })
  for (const useless of [[], [issuing.certificate], [root.certificate, leaf], [root.certificate.slice(0, -1)]]) {
    assert.throws(() => read(...useless), { code: 'CONFIG_INVALID' })
  }
})
