import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { PayloadDisclosureView } from '#protocol'
import type { Stage } from '../../demo/stage.js'
import { needs } from '../needs.js'
import { emptyStage, enroll, filesOf, runForeign, searchAudit } from './world.js'

const options = needs('mosquitto_pub', 'bash', 'basenc', 'sha256sum', 'sed', 'od')
const topic = 'devices/thermo-1/telemetry/door'
const sentence = 'the door to the cold store stands open'

test('what a device said is proved with coreutils alone, and erased for good', options, async (t) => {
  const stage = await openStoring(t)
  const reading = join(stage.folder, 'reading.bin')
  writeFileSync(reading, sentence)
  await publish(stage, reading)
  const [record] = await searchAudit(stage, '--event', 'message.publish', '--topic', topic)
  assert.ok(record)
  const id = String(record.sequence)

  const found = join(stage.folder, 'found.bin')
  await stage.operator('audit', 'payload', id, '--out', found)
  assert.equal(readFileSync(found, 'utf8'), sentence)
  const nowhere = await stage.tryOperator('audit', 'payload', id, '--out', join(stage.folder, 'absent', 'found.bin'))
  assert.deepEqual([nowhere.exitCode, /CANNOT_WRITE/.test(nowhere.stderr)], [1, true], nowhere.stderr)
  assert.match(await stage.operator('audit', 'payload', id, '--check', reading), /is what was said/)
  const disclosure = await stage.ask<PayloadDisclosureView>('audit', 'payload', id, '--disclose')
  const handed = { proof: join(stage.folder, 'proof'), disclosure: join(stage.folder, 'disclosure'), payload: reading }
  await stage.operator('audit', 'prove', id, '-f', handed.proof)
  writeFileSync(handed.disclosure, JSON.stringify(disclosure))
  const commitment = disclosure.payloadCommitment
  assert.deepEqual(await byCoreutils(disclosure.r, handed), { ofPayload: commitment, inProof: commitment })
  assert.match(await stage.operator(...verifyAll(handed)), /is what was said\n$/)
  await refuseOtherDisclosures(stage, handed, disclosure)

  writeFileSync(reading, sentence.replace('open', 'shut'))
  assert.equal((await stage.tryOperator('audit', 'payload', id, '--check', reading)).exitCode, 8)
  assert.equal((await stage.tryOperator(...verifyAll(handed))).exitCode, 8)
  assert.notEqual((await byCoreutils(disclosure.r, handed)).ofPayload, commitment)
  assert.ok(!isAnywhere(stage, sentence), 'in clear nowhere')

  const day = disclosure.time.slice(0, 10)
  const erase = ['audit', 'erase', '--device', 'thermo-1', '--day', day, '--comment', 'asked for by the owner']
  assert.equal((await stage.tryOperator(...erase)).exitCode, 2, 'nobody is there to be asked')
  assert.deepEqual(await stage.ask(...erase, '--yes'), { day, device: 'thermo-1', keys: 1 })
  for (const how of [[], ['--disclose'], ['--check', found]]) {
    const { exitCode, stderr } = await stage.tryOperator('audit', 'payload', id, ...how)
    assert.deepEqual([exitCode, /PAYLOAD_ERASED/.test(stderr)], [5, true], stderr)
  }
  const acts = await searchAudit(stage, '--operator', 'admin', '--event', 'payload.erase')
  assert.equal(acts.length, 1)
  const looks = await searchAudit(stage, '--event', 'audit.read')
  const queries = looks.map((look) => ('query' in look ? look.query : undefined))
  assert.ok(queries.includes(`payload ${id}`) && queries.includes(`payload ${id} disclose`), queries.join())

  await stage.clear()
  await stage.operator('audit', 'verify')
  assert.ok(entryEndsWith(stage, disclosure.payloadCommitment), 'in the bundles that a third party gets')
})

async function openStoring(t: TestContext): Promise<Stage> {
  const stage = emptyStage(t)
  mkdirSync(stage.serverData, { recursive: true })
  writeFileSync(join(stage.serverData, 'touchmark.yaml'), 'audit:\n  payload: store\n')
  await stage.openService()
  return stage
}

async function publish(stage: Stage, file: string): Promise<void> {
  const { ca, cert, key } = filesOf(await enroll(stage, 'thermo-1'))
  const where = ['-h', 'localhost', '-p', String(stage.ports.mqtt), '--cafile', ca, '--cert', cert, '--key', key]
  const said = await runForeign('mosquitto_pub', [...where, '-i', 'thermo-1', '-q', '1', '-t', topic, '-f', file])
  assert.equal(said.exitCode, 0, said.stderr)
}

/** The files that a third party is handed, beside the log's verifier key. */
interface Handed {
  readonly proof: string
  readonly disclosure: string
  readonly payload: string
}

function verifyAll({ proof, disclosure, payload }: Handed): readonly string[] {
  return ['audit', 'verify', '--proof', proof, '--payload', payload, '--disclosure', disclosure]
}

/** A payload counts only by what opens the commitment of the very record that is proven. */
async function refuseOtherDisclosures(stage: Stage, handed: Handed, disclosure: PayloadDisclosureView): Promise<void> {
  const file = join(stage.folder, 'other')
  const r = disclosure.r.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))
  const others = [{ ...disclosure, r }, { ...disclosure, sequence: 0 }, { ...disclosure, r: 'x' }, { r }, [], 'x']
  for (const other of others) {
    writeFileSync(file, JSON.stringify(other))
    const { exitCode, stderr } = await stage.tryOperator(...verifyAll({ ...handed, disclosure: file }))
    assert.equal(exitCode, 8, `${JSON.stringify(other)}: ${stderr}`)
  }
  await stage.operator('audit', 'prove', '0', '-f', file)
  assert.equal((await stage.tryOperator(...verifyAll({ ...handed, proof: file }))).exitCode, 8, 'of no message')
  const absent = join(stage.folder, 'absent')
  assert.equal((await stage.tryOperator(...verifyAll({ ...handed, disclosure: absent }))).exitCode, 1)
  assert.equal((await stage.tryOperator(...verifyAll(handed).slice(0, -2))).exitCode, 2, 'a payload alone')
}

/** As docs/auditor.md tells a third party to do it. */
async function byCoreutils(r: string, { proof, payload }: Handed): Promise<{ ofPayload?: string; inProof?: string }> {
  const [, script = ''] = /```sh\n(r=.*?)```/s.exec(readFileSync('docs/auditor.md', 'utf8')) ?? []
  const filled = script.replace(/^r=\S+/m, `r=${r}`).replace(/^file=\S+/m, `file='${payload}'`)
  const { stdout } = await runForeign('bash', ['-euc', filled.replace(/^proof=\S+/m, `proof='${proof}'`)])
  const [ofPayload = '', inProof = ''] = stdout.match(/[0-9a-f]{64}/g) ?? []
  return { ofPayload, inProof }
}

function isAnywhere({ serverData }: Stage, text: string): boolean {
  return contentsBelow(serverData).some((content) => content.includes(text))
}

/** All files as they are at one time: where one goes while they are read, as a partial tile does, all are read again. */
function contentsBelow(folder: string): readonly Buffer[] {
  for (;;) {
    try {
      const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      return files.map(({ parentPath, name }) => readFileSync(join(parentPath, name)))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
}

/** An entry's commitment is its end, so behind it the next entry of the bundle begins, or nothing. */
function entryEndsWith({ serverData }: Stage, commitment: string): boolean {
  const folder = join(serverData, 'audit', 'log', 'tile', 'entries')
  return contentsBelow(folder).some((bundle) => {
    for (let at = 0; at < bundle.length;) {
      at += 2 + bundle.readUInt16BE(at)
      if (bundle.toString('hex', at - 32, at) === commitment) return true
    }
    return false
  })
}
