import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before } from 'node:test'
import { type RunningSwtpm, startSwtpm } from '#simulators'
import { decodePublic, makeCredential, nameOf, openTpm, type Tpm, TpmError } from '#tpm'
import { createPrimary, type LoadedObject } from '../../tpm/commands/objects.js'
import { flushLeftovers } from '../../tpm/device/loaded.js'
import { startSession } from '../../tpm/sessions/start-session.js'
import { attributesWith } from '../../tpm/structures/attributes.js'
import { attestationKey, storageRootKey } from '../../tpm/templates.js'
import { openSocket, type SocketAddress } from '../../tpm/transport/socket.js'
import { needs } from '../needs.js'
import { type Bus, refusing, sitOnBus } from './bus.js'
import { hasCode } from './samples.js'

const options = needs('swtpm', 'swtpm_setup', 'tpm2_getcap')
const folder = mkdtempSync(join(tmpdir(), 'touchmark-'))
const digest = createHash('sha256').update('to be signed').digest()
const qualifyingData = randomBytes(32)
/** TPM_RC_VALUE of the first parameter. */
const refusal = refusing(0x1c4)

let swtpm: RunningSwtpm
let address: SocketAddress & { readonly path: string }
let bus: Bus

before(async () => {
  if (options.skip) return
  swtpm = await startSwtpm({ folder: join(folder, 'tpm') })
  address = { path: swtpm.spec.slice('swtpm:'.length) }
  bus = await sitOnBus(address.path)
})

after(async () => {
  await bus?.stop()
  await swtpm?.stop()
  rmSync(folder, { recursive: true })
})

/** What an agent does at a join, step by step, with a `Tpm` that has done nothing else before. */
const operations: Readonly<Record<string, (tpm: Tpm) => Promise<unknown>>> = {
  'making the attestation key': (tpm) => tpm.attestationKey(),
  'making the endorsement key': (tpm) => tpm.endorsementKey('ecc-p256'),
  'making, loading and using a signing key': async (tpm) => {
    const key = await tpm.loadSigningKey(await tpm.createSigningKey())
    await tpm.sign(key, digest)
  },
  'certifying and quoting': async (tpm) => {
    const ak = await tpm.attestationKey()
    await tpm.certify(ak, ak, qualifyingData)
    await tpm.quote(ak, qualifyingData, [0])
  },
  'activating a credential': async (tpm) => {
    const [ak, ek] = [await tpm.attestationKey(), await tpm.endorsementKey('ecc-p256')]
    const akName = nameOf(decodePublic(ak.public))
    const credential = makeCredential({ ekPublic: decodePublic(ek.public) }, akName, qualifyingData)
    await tpm.activateCredential(ak, ek, credential)
  },
}

/** How the command of one number is made to fail. */
const failures: Readonly<Record<string, (index: number) => void>> = {
  'is refused by the TPM': (index) => {
    bus.intercept = (_, at) => (at === index ? refusal : undefined)
  },
  'works, and seems to be refused': (index) => {
    bus.meddle = ({ response }, at) => (at === index ? refusal : response)
  },
  'works, and its answer cannot be read': (index) => {
    bus.meddle = ({ response }, at) => (at === index ? withAnotherByte(response) : response)
  },
}

for (const [name, operate] of Object.entries(operations)) {
  for (const [failure, inject] of Object.entries(failures)) {
    test(`${name}: nothing stays loaded whichever command ${failure}`, options, async () => {
      behave()
      await withTpm(operate)
      const count = bus.heard.length
      assert.ok(count > 4)
      for (let index = 0; index < count; index++) {
        behave()
        inject(index)
        await withTpm((tpm) => assert.rejects(operate(tpm), TpmError, `command ${index} of ${count}`))
      }
      assertNothingLoaded()
    })
  }
}

test('a TPM that is unplugged at any command is unreachable at once, and clean when opened anew', options, async () => {
  const operate = operations['certifying and quoting']
  assert.ok(operate)
  behave()
  await withTpm(operate)
  const count = bus.heard.length
  for (let index = 0; index < count; index++) {
    behave()
    bus.meddle = ({ response }, at) => (at === index ? 'cut' : response)
    await withTpm((tpm) => assert.rejects(operate(tpm), hasCode('TPM_UNREACHABLE'), `command ${index} of ${count}`))
    const transport = await openSocket(address)
    await flushLeftovers(transport)
    await transport.close()
  }
  assertNothingLoaded()
})

test(
  'what an agent that died has left in a TPM without a resource manager is flushed, and nothing of others',
  options,
  async () => {
    const first = await openSocket(address)
    const root = await createPrimary(first, 'owner', storageRootKey)
    await startSession(first, root, { kind: 'hmac' })
    await startSession(first, root, { kind: 'policy' })
    const foreign = await createPrimary(first, 'owner', othersKey)
    await first.close()

    const second = await openSocket(address)
    await flushLeftovers(second)
    await second.close()
    assert.equal(loaded('handles-transient'), `- 0x${foreign.handle.toString(16).toUpperCase()}`)
    assert.equal(loaded('handles-loaded-session'), '')
    flush(foreign)
  },
)

/** Signs with any scheme: no key here is like this. */
const othersKey = {
  ...attestationKey,
  attributes: attributesWith('fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'sign'),
}

function behave(): void {
  bus.heard.length = 0
  bus.intercept = () => undefined
  bus.meddle = ({ response }) => response
}

async function withTpm(use: (tpm: Tpm) => Promise<unknown>): Promise<void> {
  const tpm = await openTpm(bus.spec)
  try {
    await use(tpm)
  } finally {
    await tpm.close()
    await bus.idle()
  }
}

function assertNothingLoaded(): void {
  for (const kind of ['handles-transient', 'handles-loaded-session', 'handles-saved-session']) {
    assert.equal(loaded(kind), '', kind)
  }
}

function loaded(kind: string): string {
  return tpm2('tpm2_getcap', kind)
}

function flush({ handle }: LoadedObject): void {
  tpm2('tpm2_flushcontext', `0x${handle.toString(16)}`)
}

function tpm2(program: string, argument: string): string {
  return execFileSync(program, [argument], { env: { ...process.env, TPM2TOOLS_TCTI: swtpm.tcti } })
    .toString()
    .trim()
}

/** With a size that agrees, so that it is the parameters that are too long. */
function withAnotherByte(response: Buffer): Buffer {
  const longer = Buffer.concat([response, Buffer.alloc(1)])
  longer.writeUInt32BE(longer.length, 2)
  return longer
}
