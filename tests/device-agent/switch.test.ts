import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { decodeRenewRequest, parseJoinUri, routes } from '#protocol'
import { decodeCsr } from '#x509'
import { connectBroker } from '../../device-agent/broker.js'
import { Clock } from '../../device-agent/clock.js'
import { DeviceKeys } from '../../device-agent/device-keys.js'
import { type Disk, nodeDisk } from '../../device-agent/disk.js'
import { enroll } from '../../device-agent/enroll.js'
import type { IssuedGeneration } from '../../device-agent/generation.js'
import { renew } from '../../device-agent/renewal.js'
import { StateFolder } from '../../device-agent/state-folder.js'
import { tokenJoin } from '../../device-agent/token-join.js'
import { asRoot, fillDisk, removeFillers } from '../small-disk.js'
import { startBroker } from './broker-double.js'
import { crashingDisk } from './crashing-disk.js'
import { createTestCa, issuingReply, startService, type TestService } from './service-double.js'
import { temporaryDisk, temporaryFolder } from './temporary-folder.js'

const ca = await createTestCa()
const clock = new Clock({ system: () => Date.now(), monotonic: () => performance.now() })
const keys = new DeviceKeys(() => Promise.reject(new Error('no TPM here')))

/** A device in this folder, and what it takes to renew it; `answering` runs when the service has been asked to. */
async function openDevice(context: TestContext, folder: string) {
  let answering: () => void = () => undefined
  const broker = await startBroker(ca)
  const issue = issuingReply(ca)
  const service = await startService(ca, async (request) => {
    if (request.path === routes.renew.path) answering()
    const reply = await issue(request)
    assert.ok(typeof reply === 'object' && 'body' in reply)
    return { ...reply, body: Object.assign({}, reply.body, { broker: { mqtts: `mqtts://localhost:${broker.port}` } }) }
  })
  context.after(() => Promise.all([service.close(), broker.close()]))
  const state = new StateFolder(folder, nodeDisk)
  await enroll({ uri: parseJoinUri(service.joinUri()), method: tokenJoin('tm1.id.secret', {}), state, clock })

  const current = async (): Promise<IssuedGeneration> => (await state.current()) ?? assert.fail('no identity')
  const renewOn = async (disk: Disk = nodeDisk): Promise<IssuedGeneration> => {
    const before = await current()
    return renew(before, await keys.open(before.key), { state: new StateFolder(folder, disk), clock, keys })
  }
  /** Key and certificate belong together, and the broker takes them. */
  const works = async (): Promise<void> => {
    const generation = await current()
    const read = (name: string) => readFileSync(join(folder, 'current', name))
    assert.ok(new X509Certificate(read('cert.pem')).checkPrivateKey(createPrivateKey(read('key.pem'))))
    const key = await keys.open(generation.key)
    const session = await connectBroker(generation, key, clock, { clientId: 'gate-7', clean: true })
    await session.close()
  }
  return { state, service, renewOn, works, current, whenAsked: (then: () => void) => (answering = then) }
}

test(
  'a disk that is full at the moment of the switch leaves the old pair working, and the next try has the same key',
  asRoot(),
  async (context) => {
    const folder = temporaryDisk(context, 1)
    const device = await openDevice(context, folder)
    let failed = 0
    for (let pages = 0; pages < 8; pages++) {
      const before = await device.current()
      const asked = keysAsked(device.service).length
      device.whenAsked(() => fillDisk(folder, pages * 4096))
      const outcome = await device.renewOn().catch((error: unknown) => error)
      await device.works()
      removeFillers(folder)
      device.whenAsked(() => undefined)
      if (outcome instanceof Error) {
        failed++
        assert.ok('code' in outcome && outcome.code === 'STATE_FAILED', String(outcome))
        assert.equal((await device.current()).number, before.number)
        await device.renewOn()
        await device.works()
      }
      const sinceThen = keysAsked(device.service).slice(asked)
      assert.equal(new Set(sinceThen).size, 1, 'a third key would look like a copy of this device')
      await device.state.dropOlderThan((await device.current()).number)
    }
    assert.ok(failed >= 3, `only ${failed} of the switches failed`)
  },
)

test('a power cut after any step of a renewal leaves a pair that works, and one more key at most', async (context) => {
  for (let crashAfter = 1; ; crashAfter++) {
    const device = await openDevice(context, temporaryFolder(context))
    const { disk, crashed } = crashingDisk(crashAfter)
    await device.renewOn(disk).catch(() => undefined)
    if (!crashed()) break
    await device.works()
    await device.state.repair()
    await device.works()
    await device.renewOn()
    await device.works()
    const inUse = (await device.current()).number
    await device.state.dropOlderThan(inUse)
    assert.deepEqual(readdirSync(join(device.state.folder, 'generations')), [String(inUse)])
  }
})

test('a certificate that came, and to which the agent could not switch, is used before another is asked for', async (context) => {
  const device = await openDevice(context, temporaryFolder(context))
  const cannotPoint: Disk = { ...nodeDisk, point: () => Promise.reject(new Error('no space')) }
  await assert.rejects(device.renewOn(cannotPoint), /no space/)
  await device.works()
  const renewed = await device.renewOn()
  assert.equal(renewed.number, 2)
  assert.equal(keysAsked(device.service).length, 1)
  await device.works()
})

function keysAsked({ requests }: TestService): readonly string[] {
  const renewals = requests.filter(({ path }) => path === routes.renew.path)
  return renewals.map(({ body }) => decodeCsr(decodeRenewRequest(body, '').csr).spkiHash)
}
