import assert from 'node:assert/strict'
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { createMemoryAudit } from '#audit'
import { parseTrustDomain } from '#protocol'
import { createCaWorld, identityOf, joinByToken, newSpki, openssl } from './world.js'
import { encodePem } from '#x509'
import { needs } from '../needs.js'

const day = 24 * 3600 * 1000

test('the first run makes root and issuing CA, the next ones open the same', async (t) => {
  const world = await createCaWorld(t)
  const first = await world.openCa()
  const second = await world.openCa()
  assert.deepEqual(second.chain, first.chain)
  assert.equal(world.audit.records.filter(({ event }) => event === 'ca.create').length, 2)
})

test('keys are for their owner’s eyes only, and nothing unfinished stays', async (t) => {
  const world = await createCaWorld(t)
  await world.openCa()
  assert.equal(statSync(world.directory).mode & 0o777, 0o700)
  const files = readdirSync(world.directory)
  assert.deepEqual(files.sort(), ['issuing.pem', 'root.key.pem', 'root.pem'])
  for (const file of files) assert.equal(statSync(join(world.directory, file)).mode & 0o777, 0o600)
})

test('a crash after the root’s key: the next run makes the root for that key', async (t) => {
  const world = await createCaWorld(t)
  const { root } = await world.openCa()
  for (const file of ['root.pem', 'issuing.pem']) rmSync(join(world.directory, file))
  assert.equal((await world.openCa()).root.spkiHash, root.spkiHash)
})

test('a crash after the root: the next run makes the issuing CA below it', async (t) => {
  const world = await createCaWorld(t)
  const { root } = await world.openCa()
  rmSync(join(world.directory, 'issuing.pem'))
  const again = await world.openCa()
  assert.deepEqual(again.root, root)
  await joinByToken(world, again, 't1')
})

test('a file that was half written when the power went is removed unread', async (t) => {
  const world = await createCaWorld(t)
  const { chain } = await world.openCa()
  writeFileSync(join(world.directory, 'issuing.pem.unfinished'), '-----BEGIN PRIV')
  assert.deepEqual((await world.openCa()).chain, chain)
  assert.equal(readdirSync(world.directory).length, 3)
})

test('no CA comes to be that the log did not take', async (t) => {
  const world = await createCaWorld(t)
  const audit = createMemoryAudit()
  audit.fail()
  await assert.rejects(world.openCa({ audit }), { code: 'AUDIT_CLOSED' })
  assert.deepEqual(readdirSync(world.directory), ['root.key.pem'])
  await world.openCa()
})

test('a lost root certificate is never replaced by another', async (t) => {
  const world = await createCaWorld(t)
  await world.openCa()
  rmSync(join(world.directory, 'root.pem'))
  await assert.rejects(world.openCa(), { code: 'CA_INCOMPLETE' })
  assert.deepEqual(readdirSync(world.directory).sort(), ['issuing.pem', 'root.key.pem'])
})

test('files of different CAs are refused', async (t) => {
  const [world, other] = [await createCaWorld(t), await createCaWorld(t)]
  await world.openCa()
  await other.openCa()
  for (const file of ['root.key.pem', 'root.pem', 'issuing.pem']) {
    const own = readFileSync(join(world.directory, file))
    writeFileSync(join(world.directory, file), readFileSync(join(other.directory, file)))
    await assert.rejects(world.openCa(), { code: 'CA_MISMATCH' }, file)
    writeFileSync(join(world.directory, file), own)
  }
  await world.openCa()
})

test('the CA of one trust domain does not open for another', async (t) => {
  const world = await createCaWorld(t)
  await world.openCa()
  await assert.rejects(world.openCa({ trustDomain: parseTrustDomain('other.example') }), { code: 'CA_MISMATCH' })
})

test('damaged files are named and left alone', async (t) => {
  const world = await createCaWorld(t)
  await world.openCa()
  for (const file of ['root.key.pem', 'root.pem', 'issuing.pem']) {
    const path = join(world.directory, file)
    const own = readFileSync(path)
    for (const damage of [Buffer.alloc(0), own.subarray(0, 100), Buffer.from(own.toString().replaceAll('M', '!'))]) {
      writeFileSync(path, damage)
      await assert.rejects(world.openCa(), { code: 'CA_UNREADABLE' }, file)
      assert.deepEqual(readFileSync(path), damage)
    }
    writeFileSync(path, own)
  }
})

test('a folder that cannot be written is said so', async (t) => {
  const world = await createCaWorld(t)
  writeFileSync(join(world.folder, 'file'), '')
  await assert.rejects(world.openCa({ directory: join(world.folder, 'file') }), { code: 'CA_STORAGE_FAILED' })
})

test('the issuing CA is renewed in the last third of its life, and not before', async (t) => {
  const world = await createCaWorld(t)
  const first = await world.openCa()
  world.clock.now += 59 * day
  assert.deepEqual((await world.openCa()).issuing, first.issuing)
  world.clock.now += 2 * day
  const renewed = await world.openCa()
  assert.notEqual(renewed.issuing.spkiHash, first.issuing.spkiHash)
  assert.deepEqual(renewed.root, first.root)
  assert.deepEqual((await world.openCa()).chain, renewed.chain)
})

test('what the old issuing CA signed stays good after its renewal', needs('openssl'), async (t) => {
  const world = await createCaWorld(t)
  const authority = await world.openCa()
  const spki = newSpki()
  const joined = await joinByToken(world, authority, 't1', spki)
  await Promise.all([authority.renewIssuing(), authority.renewIssuing()])
  const renewed = await authority.renew(identityOf(joined), newSpki())
  const files = {
    root: authority.root.pem,
    chain: authority.chain.join(''),
    old: encodePem('CERTIFICATE', joined.der),
    new: encodePem('CERTIFICATE', renewed.der),
  }
  const at = ['-attime', String(world.now() / 1000)]
  const verify = ['verify', '-x509_strict', ...at, '-CAfile', 'root', '-untrusted', 'chain', 'old', 'new']
  assert.match(openssl(world, files, verify), /old: OK\s+new: OK/)
  assert.deepEqual((await world.openCa()).chain, authority.chain)
})

test('with the root’s key away the service goes on to the end of its issuing CA, and no further', async (t) => {
  const world = await createCaWorld(t)
  const { issuing } = await world.openCa()
  rmSync(join(world.directory, 'root.key.pem'))
  world.clock.now += 80 * day
  const authority = await world.openCa()
  assert.deepEqual(authority.issuing, issuing)
  await assert.rejects(authority.renewIssuing(), { code: 'ROOT_KEY_ABSENT' })
  world.clock.now += 20 * day
  await assert.rejects(world.openCa(), { code: 'ROOT_KEY_ABSENT' })
})

test('a key file that others could read is made private again', async (t) => {
  const world = await createCaWorld(t)
  const authority = await world.openCa()
  const path = join(world.directory, 'issuing.pem')
  chmodSync(path, 0o644)
  await authority.renewIssuing()
  assert.equal(statSync(path).mode & 0o777, 0o600)
})
