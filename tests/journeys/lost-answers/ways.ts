import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import mqtt from 'mqtt'
import { type EkAuthority, openSoftwareTpm } from '#simulators'
import { createCsr, createKeyPair, encodePem, spkiOf } from '#x509'
import { Clock } from '../../../device-agent/clock.js'
import { DeviceKeys } from '../../../device-agent/device-keys.js'
import { nodeDisk } from '../../../device-agent/disk.js'
import { renew } from '../../../device-agent/renewal.js'
import { StateFolder } from '../../../device-agent/state-folder.js'
import type { Stage } from '../../../demo/stage.js'
import { runAgent } from '../../device-agent/as-program.js'
import { makeIdevid } from '../../enrollment/idevid-maker.js'
import type { TestIssuer } from '../../enrollment/oidc/issuer.js'
import { pem, send } from '../../server/device-https.js'
import type { Authority } from '../../x509/world.js'
import type { Entry } from '../world.js'
import type { Line } from '../line.js'

/** Who and what the ways are gone with. */
export interface Place {
  readonly stage: Stage
  /** Between every device and the service. */
  readonly line: Line
  readonly tpmMaker: EkAuthority
  readonly machineMaker: Authority
  readonly issuer: TestIssuer
}

/** A way to a certificate. */
export interface Way {
  readonly name: string
  /** What is asked on it, in order; the last one changes something. */
  readonly requests: readonly string[]
  /** Those before it are another way's too, which has shown what becomes of them. Default: 1 */
  readonly own?: number
  /** What is recorded of that. */
  readonly event: string
  prepare(place: Place, id: string): Promise<Traveller>
}

/** A device that is about to go a way. */
export interface Traveller {
  /** Of a record of the way's event: whether it is about this one. */
  isOf(entry: Entry): boolean
  /** The whole way; rejects where it does not come to its end. */
  go(): Promise<void>
  /** Publishes a message with what it got. */
  speak(): Promise<void>
}

export const ways: readonly Way[] = [
  {
    name: 'Token',
    requests: ['POST /v1/join/token'],
    event: 'device.enroll',
    async prepare(place, id) {
      const { token } = await place.stage.ask<{ token: string }>('tokens', 'create', '--device', id)
      const agent = agentOf(place, id)
      return { ...agent, go: () => agent.does('enroll', '--join', joinUri(place), '--token', token) }
    },
  },
  {
    name: 'TPM',
    requests: ['GET /v1/join/terms/PROFILE', 'POST /v1/join/tpm', 'POST /v1/join/tpm/activate'],
    event: 'device.enroll',
    async prepare(place, id) {
      const agent = agentOf(place, id)
      const chip = await makeChip(place, id)
      await place.stage.operator('devices', 'register', id, '--ek-hash', chip.ekHash)
      return { ...agent, go: () => agent.does('enroll', '--join', joinUri(place), '--tpm', chip.spec) }
    },
  },
  {
    name: 'TPM that an operator has to approve',
    requests: ['GET /v1/join/terms/PROFILE', 'POST /v1/join/tpm', 'POST /v1/join/tpm/activate'],
    own: 3,
    event: 'join.pending',
    async prepare(place, id) {
      const agent = agentOf(place, id)
      const chip = await makeChip(place, id)
      const enroll = ['enroll', '--join', joinUri(place), '--tpm', chip.spec] as const
      return {
        isOf: ({ anchorHash }) => anchorHash === chip.ekHash,
        go: () => agent.ends(9, ...enroll, '--wait', '0'),
        async speak() {
          await place.stage.operator('approvals', 'approve', chip.ekHash, '--device', id, '--reason', 'seen')
          await agent.does(...enroll)
          await agent.speak()
        },
      }
    },
  },
  {
    name: 'Certificate of the maker, by EST',
    requests: ['POST /.well-known/est/PROFILE/simpleenroll'],
    event: 'device.enroll',
    async prepare(place, id) {
      const machine = await makeIdevid(place.machineMaker)
      await place.stage.operator('devices', 'register', id, '--idevid-spki', machine.anchor.hash)
      return estClient(place, id, { cert: encodePem('CERTIFICATE', machine.der), key: pem(machine.privateKey) })
    },
  },
  {
    name: 'OIDC, for a CI job',
    requests: ['POST /v1/join/oidc'],
    event: 'join.oidc',
    async prepare(place, id) {
      const run = id.replace('d-', '')
      const out = join(place.stage.folder, `run ${run}`)
      const args = ['join-oidc', '--join', joinUri(place), '--out', out] as const
      const audience = (await runAgent(args)).out.join('')
      const now = Math.floor(Date.now() / 1000)
      const claims = { iss: place.issuer.url, sub: 'job', aud: audience, iat: now, exp: now + 300 }
      const idToken = await place.issuer.sign({ ...claims, repository_id: '42', run_id: run })
      const environment = { TOUCHMARK_ID_TOKEN: idToken }
      return {
        isOf: (entry) => entry.run === `ci-${run}`,
        go: () => ended(0, runAgent(args, { environment })),
        speak: () => ended(0, runAgent(['publish', `devices/sim.ci-${run}.0/state`, 'x', '--data', join(out, '0')])),
      }
    },
  },
  {
    name: 'Renewal',
    requests: ['POST /v1/renew'],
    event: 'device.renew',
    async prepare(place, id) {
      const agent = agentOf(place, id)
      const { token } = await place.stage.ask<{ token: string }>('tokens', 'create', '--device', id)
      await agent.does('enroll', '--join', joinUri(place), '--token', token)
      const state = new StateFolder(agent.data, nodeDisk)
      const clock = new Clock({ system: () => Date.now(), monotonic: () => performance.now() })
      return {
        ...agent,
        async go() {
          const current = (await state.current()) ?? assert.fail('no generation')
          const keys = new DeviceKeys(openTpm)
          await renew(current, await keys.open(current.key), { state, clock, keys })
        },
      }
    },
  },
]

/** A device whose agent runs in this process. */
function agentOf({ stage }: Place, id: string) {
  const data = stage.deviceData(id)
  const ends = (exitCode: number, ...args: readonly string[]) =>
    ended(exitCode, runAgent([...args, '--data', data], { openTpm }))
  const does = (...args: readonly string[]) => ends(0, ...args)
  return {
    ...{ data, does, ends },
    isOf: ({ device }: Entry) => device === id,
    speak: () => does('publish', `devices/${id}/state`, 'x'),
  }
}

async function ended(expected: number, running: ReturnType<typeof runAgent>): Promise<void> {
  const { exitCode, err } = await running
  if (exitCode !== expected) throw new Error(`ended with ${exitCode}: ${err.join('\n')}`)
}

function joinUri({ stage, line }: Place): string {
  return stage.joinUri.replace(`:${stage.ports.https}/`, `:${line.port}/`)
}

function openTpm(spec: string) {
  return openSoftwareTpm({ folder: spec.replace('software:', ''), now: Date.now })
}

async function makeChip({ stage, tpmMaker: ekAuthority }: Place, id: string) {
  const folder = join(stage.folder, `chip of ${id}`)
  await (await openSoftwareTpm({ folder, templates: ['ecc-p256'], ekAuthority, now: Date.now })).close()
  const spec = `software:${folder}`
  const { out } = await runAgent(['ek', '--tpm', spec, '-o', 'json'], { openTpm })
  const { ekHash } = JSON.parse(out.join('')) as { ekHash: string }
  return { spec, ekHash }
}

/** A client of no program of ours, for one key. */
async function estClient({ stage, line }: Place, id: string, shown: { cert: string; key: string }): Promise<Traveller> {
  const { privateKey, publicKey } = createKeyPair('P-256')
  const csr = await createCsr({
    spki: spkiOf(publicKey),
    sign: (data) => Promise.resolve(Uint8Array.from(sign('sha256', data, privateKey))),
  })
  const ca = readFileSync(join(stage.serverData, 'operator', 'ca.crt'), 'utf8')
  let certificate = ''
  return {
    isOf: ({ device }) => device === id,
    async go() {
      const headers = { 'content-type': 'application/pkcs10' }
      const to = {
        ...shown,
        port: line.port,
        ca,
        method: 'POST',
        path: '/.well-known/est/default/simpleenroll',
        headers,
      }
      const { status, body } = await send(to, Buffer.from(csr).toString('base64'))
      if (status !== 200) throw new Error(`answered with ${status}: ${body}`)
      const pkcs7 = Buffer.from(body, 'base64')
      certificate = execFileSync('openssl', ['pkcs7', '-inform', 'DER', '-print_certs'], { input: pkcs7 }).toString()
    },
    async speak() {
      const options = { ca, cert: certificate, key: pem(privateKey), clientId: id, reconnectPeriod: 0 }
      const client = await mqtt.connectAsync(`mqtts://localhost:${stage.ports.mqtt}`, options)
      await client.publishAsync(`devices/${id}/state`, 'x', { qos: 1 })
      await client.endAsync()
    },
  }
}
