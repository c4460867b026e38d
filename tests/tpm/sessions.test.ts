import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before, beforeEach } from 'node:test'
import { type RunningSwtpm, startSwtpm } from '#simulators'
import {
  type CredentialBlob,
  decodePublic,
  type EkTemplateName,
  type EndorsementKey,
  makeCredential,
  nameOf,
  openTpm,
  type StoredSigningKey,
  type Tpm,
  type TpmKey,
} from '#tpm'
import { emptyPassword } from '../../tpm/commands/authorization.js'
import { commandTable } from '../../tpm/commands/command-table.js'
import { activateCredential } from '../../tpm/commands/attestation.js'
import { createPrimary, flushContext } from '../../tpm/commands/objects.js'
import { encodePublic } from '../../tpm/structures/public-area.js'
import { attestationKey, ekTemplates, storageRootKey } from '../../tpm/templates.js'
import { openSocket } from '../../tpm/transport/socket.js'
import { needs } from '../needs.js'
import { type Bus, codeOf, type Meddling, sitOnBus } from './bus.js'
import { eccSample, hasCode } from './samples.js'

/*
 * A man on the bus between the processor and its TPM: he hears and changes what he likes, and has no key.
 */

const options = needs('swtpm', 'swtpm_setup')
const folder = mkdtempSync(join(tmpdir(), 'touchmark-'))
const templates = ['rsa-2048', 'ecc-p256', 'ecc-p384'] as const satisfies readonly EkTemplateName[]
const digest = createHash('sha256').update('to be signed').digest()
const qualifyingData = randomBytes(32)
const refused = hasCode('TPM_RESPONSE_FORGED', 'TPM_RESPONSE_INVALID', 'TPM_COMMAND_FAILED')

let swtpm: RunningSwtpm | undefined
let bus: Bus
let tpm: Tpm
let ak: TpmKey
let key: TpmKey
let stored: StoredSigningKey
const endorsementKeys = new Map<EkTemplateName, EndorsementKey>()

before(async () => {
  if (options.skip) return
  swtpm = await startSwtpm({ folder: join(folder, 'tpm') })
  bus = await sitOnBus(swtpm.spec.slice('swtpm:'.length))
  tpm = await openTpm(bus.spec)
  ak = await tpm.attestationKey()
  stored = await tpm.createSigningKey()
  key = await tpm.loadSigningKey(stored)
  for (const name of templates) endorsementKeys.set(name, await tpm.endorsementKey(name))
})

after(async () => {
  await tpm?.close()
  await bus?.stop()
  await swtpm?.stop()
  rmSync(folder, { recursive: true })
})

beforeEach(() => {
  if (options.skip) return
  bus.heard.length = 0
  bus.meddle = ({ response }) => response
})

/** What a `Tpm` does with keys: the command that matters, and whether every byte of its response is tried or some. */
const operations: readonly {
  readonly name: string
  readonly command: keyof typeof commandTable
  readonly run: () => Promise<unknown>
  readonly step: number
}[] = [
  {
    name: 'activating a credential by a policy session',
    command: 'ActivateCredential',
    run: activate('rsa-2048'),
    step: 1,
  },
  {
    name: 'activating a credential by an HMAC session',
    command: 'ActivateCredential',
    run: activate('ecc-p384'),
    step: 3,
  },
  { name: 'signing', command: 'Sign', run: () => tpm.sign(key, digest), step: 1 },
  { name: 'certifying', command: 'Certify', run: () => tpm.certify(key, ak, qualifyingData), step: 3 },
  { name: 'quoting', command: 'Quote', run: () => tpm.quote(ak, qualifyingData, [0, 7]), step: 5 },
  { name: 'loading a key', command: 'Load', run: () => tpm.loadSigningKey(stored), step: 3 },
  { name: 'making a key', command: 'Create', run: () => tpm.createSigningKey(), step: 7 },
]

for (const { name, command, run, step } of operations) {
  test(`${name}: every byte of the response that is changed on the bus is refused`, options, async () => {
    await run()
    const length = bus.heard.find((exchange) => codeOf(exchange.command) === commandTable[command].code)?.response
      .length
    assert.ok(length)
    for (let at = 0; at < length; at += step) {
      if (at >= 2 && at < 6) continue // the size: what it makes of the bytes that follow is the transport's affair
      bus.meddle = changing(commandTable[command].code, at)
      await assert.rejects(run(), refused, `byte ${at}`)
    }
    bus.meddle = ({ response }) => response
    await run()
  })
}

test('a response to an earlier command of the same kind is refused', options, async () => {
  await tpm.sign(key, digest)
  const earlier = bus.heard.find(({ command }) => codeOf(command) === commandTable.Sign.code)?.response
  assert.ok(earlier)
  bus.meddle = ({ command, response }) => (codeOf(command) === commandTable.Sign.code ? earlier : response)
  await assert.rejects(tpm.sign(key, digest), hasCode('TPM_RESPONSE_FORGED'))
})

test('no two sessions or commands have a nonce in common', options, async () => {
  await tpm.sign(key, digest)
  await tpm.sign(key, digest)
  const signing = bus.heard.filter(({ command }) => codeOf(command) === commandTable.Sign.code)
  // Header, key, size of the authorization area, session, size of the nonce: then the nonce.
  const callers = signing.map(({ command }) => command.subarray(24, 56).toString('hex'))
  assert.equal(new Set(callers).size, 2)
  assert.notEqual(signing[0]?.response.toString('hex'), signing[1]?.response.toString('hex'))
})

for (const name of templates) {
  test(`nobody on the bus hears the secret that is activated with an EK of ${name}`, options, async () => {
    const secret = randomBytes(32)
    const { ek, credential } = credentialFor(name, secret)
    assert.deepEqual(Buffer.from(await tpm.activateCredential(ak, ek, credential)), secret)
    const all = Buffer.concat(bus.heard.flatMap(({ command, response }) => [command, response]))
    assert.ok(!all.includes(secret))
    assert.ok(!all.includes(Buffer.from(credential.credentialBlob)))
  })
}

test('the secret that is activated by a password is heard by everybody on the bus', options, async () => {
  assert.ok(swtpm)
  await tpm.close()
  await bus.idle()
  const transport = await openSocket({ path: bus.spec.slice('swtpm:'.length) })
  const template = ekTemplates.find(({ name }) => name === 'ecc-p384')
  assert.ok(template)
  const akHere = await createPrimary(transport, 'endorsement', attestationKey)
  const ekHere = await createPrimary(transport, 'endorsement', template.public)
  const secret = randomBytes(32)
  const credential = makeCredential({ ekPublic: ekHere.area }, akHere.name, secret)
  await activateCredential(transport, akHere, ekHere, credential, emptyPassword)
  assert.ok(bus.heard.some(({ response }) => response.includes(secret)))
  for (const { handle } of [akHere, ekHere]) await flushContext(transport, handle)
  await transport.close()
  await reopen()
})

test(
  'a digest that is signed is not read on the bus, and a private half that is loaded goes encrypted once more',
  options,
  async () => {
    await tpm.sign(key, digest)
    await tpm.loadSigningKey(stored)
    const all = Buffer.concat(bus.heard.map(({ command }) => command))
    assert.ok(!all.includes(digest))
    assert.ok(!all.includes(Buffer.from(stored.private)))
  },
)

test('a storage root key that is not the TPM’s opens no session, and is not kept', options, async () => {
  await tpm.close()
  await bus.idle()
  tpm = await openTpm(bus.spec)
  const { area } = eccSample('P-256')
  const own = encodePublic({ ...storageRootKey, ...pointOf(area) })
  bus.meddle = ({ command, response }) =>
    codeOf(command) === commandTable.CreatePrimary.code ? withPublic(response, own) : response
  await assert.rejects(tpm.createSigningKey(), refused)
  bus.meddle = ({ response }) => response
  await tpm.createSigningKey()
})

/** What was loaded before means nothing to the `Tpm` that is opened here. */
async function reopen(): Promise<void> {
  await tpm.close()
  await bus.idle()
  tpm = await openTpm(bus.spec)
  ak = await tpm.attestationKey()
  key = await tpm.loadSigningKey(stored)
  for (const name of templates) endorsementKeys.set(name, await tpm.endorsementKey(name))
}

function activate(name: EkTemplateName): () => Promise<unknown> {
  return () => {
    const { ek, credential } = credentialFor(name, randomBytes(32))
    return tpm.activateCredential(ak, ek, credential)
  }
}

function credentialFor(
  name: EkTemplateName,
  secret: Uint8Array,
): { readonly ek: EndorsementKey; readonly credential: CredentialBlob } {
  const ek = endorsementKeys.get(name)
  assert.ok(ek)
  const akName = nameOf(decodePublic(ak.public))
  return { ek, credential: makeCredential({ ekPublic: decodePublic(ek.public) }, akName, secret) }
}

/** Changes one bit of the first response to this command. */
function changing(code: number, at: number): Meddling {
  let isDone = false
  return ({ command, response }) => {
    if (isDone || codeOf(command) !== code) return response
    isDone = true
    return Buffer.from(response).fill((response[at] ?? 0) ^ 1, at, at + 1)
  }
}

function pointOf(area: { readonly x: Uint8Array; readonly y: Uint8Array }) {
  return { x: area.x, y: area.y }
}

/** The response to TPM2_CreatePrimary with another public area, and the Name that belongs to it. */
function withPublic(response: Buffer, area: Uint8Array): Buffer {
  const start = 10 + 4 + 4
  const oldLength = response.readUInt16BE(start)
  assert.equal(oldLength, area.length)
  const changed = Buffer.from(response)
  changed.set(area, start + 2)
  const name = nameOf(decodePublic(area))
  // The Name stands last, before the answer of the password: two empty fields and its attributes.
  changed.set(name, changed.length - 5 - name.length)
  return changed
}
