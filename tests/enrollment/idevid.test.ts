import assert from 'node:assert/strict'
import { createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto'
import test, { type TestContext } from 'node:test'
import { Enrollment, idevidSerialAnchor } from '#enrollment'
import { type Anchor, parseDeviceId, parseLockId } from '#protocol'
import { type CertificateSpec, createCertificate, createCsr, createKeyPair, oids, spkiHash, spkiOf } from '#x509'
import { by, profile } from '../registry/world.js'
import { type Authority, type Change, makeRoot } from '../x509/world.js'
import { makeIdevid, makeMaker, named, never, since } from './idevid-maker.js'
import { createEnrollmentWorld, derOf, newChannel, refusals, softwareKey } from './world.js'

const pump = parseDeviceId('pump-7')

/** A profile that trusts ACME, and with ACME's help anybody's machines. */
async function open(t: TestContext, unknown: 'refuse' | 'approve' = 'refuse') {
  const acme = await makeMaker()
  const world = await createEnrollmentWorld(t, { profiles: [{ unknown, idevidMakers: ['ACME'] }] })
  const maker = { id: 'ACME', roots: [acme.certificate], intermediates: [] }
  const enrollment = new Enrollment({ ...world.options, idevidMakers: [maker, { ...maker, id: 'trusted-by-nobody' }] })
  t.after(() => enrollment.close())
  const machine = await makeIdevid(acme)
  const register = (anchor: Anchor) => world.registry.registerDevice({ device: pump, profile, labels: {}, anchor }, by)
  const join = async (chain: readonly Uint8Array[], csr?: Uint8Array) =>
    enrollment.joinWithIdevid(chain, { profile, csr: csr ?? (await softwareKey()).csr }, newChannel())
  return { world, acme, machine, register, join }
}

test('a machine that is registered by its maker’s key joins, as the same device with every key of its own', async (t) => {
  const { world, machine, register, join } = await open(t)
  await register(machine.anchor)
  const { csr } = await softwareKey()
  const first = await join([machine.der], csr)
  assert.equal(first.deviceId, pump)
  assert.equal(world.registry.instance(first.instanceId)?.anchor.kind, 'idevid')
  const [record] = world.registry.certificatesOf(first.instanceId)
  assert.equal(record?.tier, 'idevid')
  assert.equal((await join([machine.der], csr)).certificate, first.certificate, 'a lost answer comes again')
  const again = await join([machine.der])
  assert.deepEqual([again.deviceId, again.instanceId === first.instanceId], [pump, false])
  assert.notDeepEqual(derOf(again), derOf(first))
})

test('or by its maker’s serial number, of that maker alone', async (t) => {
  const { world, machine, register, join } = await open(t)
  await register(idevidSerialAnchor('another', machine.serial))
  await assert.rejects(join([machine.der]), { code: 'JOIN_REFUSED' })
  const device = parseDeviceId('pump-8')
  const anchor = idevidSerialAnchor('ACME', machine.serial)
  await world.registry.registerDevice({ device, profile, labels: {}, anchor }, by)
  assert.equal((await join([machine.der])).deviceId, 'pump-8')
  assert.deepEqual(world.registry.ownerOf({ anchor: machine.anchor }), device, 'from now on its key is known too')
})

test('one that nobody has registered is refused, or waits with maker and serial number', async (t) => {
  const refusing = await open(t)
  await assert.rejects(refusing.join([refusing.machine.der]), { code: 'JOIN_REFUSED' })
  assert.deepEqual(refusals(refusing.world), ['NOT_REGISTERED'])

  const { world, machine, join } = await open(t, 'approve')
  await assert.rejects(join([machine.der]), { code: 'APPROVAL_PENDING' })
  const [waiting] = world.approvals.list()
  assert.deepEqual([waiting?.maker, waiting?.hardwareSerial, waiting?.tier], ['ACME', machine.serial, 'idevid'])
  await world.approvals.approve(machine.anchor.hash, { device: pump }, by)
  assert.equal((await join([machine.der])).deviceId, pump)
})

test('the CSR is for a key of its own, never for the maker’s', async (t) => {
  const { machine, register, join } = await open(t)
  await register(machine.anchor)
  const data = (bytes: Uint8Array) => Promise.resolve(Uint8Array.from(sign('sha256', bytes, machine.privateKey)))
  const csr = await createCsr({ spki: machine.spki, sign: data })
  await assert.rejects(join([machine.der], csr), { code: 'IDEVID_KEY_REUSED' })
})

test('chains that are not what a maker may give a machine are refused by their reasons', async (t) => {
  const { acme, join } = await open(t)
  const foreign = await makeMaker()
  const expired = await intermediate(acme, { notAfter: new Date('2026-01-01T00:00:00Z') })
  const one = await intermediate(acme)
  const two = await intermediate(one)
  const three = await intermediate(two)
  const ofMachine = async (issuer: Authority, change: Change = {}) => (await makeIdevid(issuer, change)).der
  const chains: readonly (readonly [name: string, code: string, chain: readonly Uint8Array[]])[] = [
    ['of a stranger by the same name', 'IDEVID_MAKER_UNKNOWN', [await ofMachine(foreign), foreign.certificate]],
    ['of nobody that is known', 'IDEVID_MAKER_UNKNOWN', [await ofMachine(await makeRoot())]],
    ['signed by itself', 'IDEVID_MAKER_UNKNOWN', [(await selfSigned()).der]],
    ['by a CA that has expired', 'IDEVID_EXPIRED', [await ofMachine(expired), expired.certificate]],
    ['not valid yet', 'IDEVID_EXPIRED', [await ofMachine(acme, { notBefore: new Date('2030-01-01T00:00:00Z') })]],
    ['for servers only', 'IDEVID_INVALID', [await ofMachine(acme, { extKeyUsage: [oids.serverAuth] })]],
    ['that signs nothing', 'IDEVID_INVALID', [await ofMachine(acme, { keyUsage: ['keyEncipherment'] })]],
    ['of a CA', 'IDEVID_INVALID', [one.certificate]],
    ['with an RSA key of 8192 bits', 'IDEVID_INVALID', [await ofMachine(acme, { spki: spkiOf(rsaKeyOf(8192)) })]],
    [
      'of five certificates',
      'IDEVID_INVALID',
      [await ofMachine(three), three.certificate, two.certificate, one.certificate],
    ],
    [
      'of more than four as they came',
      'IDEVID_INVALID',
      [await ofMachine(two), two.certificate, one.certificate, acme.certificate, acme.certificate],
    ],
    ['that is no certificate', 'IDEVID_INVALID', [Uint8Array.of(0x30, 0x00)]],
    ['of nothing', 'IDEVID_INVALID', []],
  ]
  for (const [name, code, chain] of chains) await assert.rejects(join(chain), { code }, name)
  await assert.rejects(
    join([await ofMachine(two), two.certificate, one.certificate]),
    { code: 'JOIN_REFUSED' },
    'four are fine',
  )
})

test('a device that was revoked stays what its hardware is known as: it comes in no more, and is nobody else’s', async (t) => {
  const { world, machine, register, join } = await open(t, 'approve')
  await register(machine.anchor)
  await join([machine.der])
  await world.registry.revokeDevice(pump, { reason: 'keyCompromise', ...by }).done
  await assert.rejects(join([machine.der]), { code: 'JOIN_REFUSED' })
  assert.deepEqual([refusals(world), world.approvals.list()], [['DEVICE_REVOKED'], []])
  const taken = { device: parseDeviceId('other'), profile, labels: {}, anchor: machine.anchor }
  await assert.rejects(world.registry.registerDevice(taken, by), { code: 'ANCHOR_TAKEN' })
})

test('a lock on an instance keeps out the hardware with every other key', async (t) => {
  const { world, machine, register, join } = await open(t)
  await register(machine.anchor)
  const { instanceId } = await join([machine.der])
  const order = { lock: parseLockId('lock-1'), target: { instance: instanceId }, mode: 'lock', reason: 'x' } as const
  await world.registry.addLock(order, by).done
  await assert.rejects(join([machine.der]), { code: 'JOIN_REFUSED' })
  assert.deepEqual(refusals(world), ['LOCKED'])
})

/** A public key that looks like one: to find primes of that size would take longer than all tests here. */
function rsaKeyOf(bits: number): KeyObject {
  const modulus = randomBytes(bits / 8)
  modulus[0] = 0xff
  modulus[modulus.length - 1] = 0xff
  return createPublicKey({ key: { kty: 'RSA', n: modulus.toString('base64url'), e: 'AQAB' }, format: 'jwk' })
}

async function intermediate(issuer: Authority, change: Change = {}): Promise<Authority> {
  const { privateKey, publicKey } = createKeyPair('P-256')
  const spec: CertificateSpec = {
    ...{ ...named(`CA of ${spkiHash(spkiOf(publicKey)).slice(0, 8)}`), spki: spkiOf(publicKey), authority: {} },
    ...{ notBefore: since, notAfter: never, keyUsage: ['keyCertSign'] as const, ...change },
  }
  return { privateKey, certificate: await createCertificate(spec, issuer) }
}

async function selfSigned() {
  const pair = createKeyPair('P-256')
  const spec = { ...named('me'), spki: spkiOf(pair.publicKey), notBefore: since, notAfter: never } as const
  return { der: await createCertificate({ ...spec, keyUsage: ['digitalSignature'] }, { privateKey: pair.privateKey }) }
}
