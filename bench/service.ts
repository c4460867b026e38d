import { type ChildProcess, spawn } from 'node:child_process'
import { sign } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import {
  type CreateTokenAnswer,
  type CreateTokenRequest,
  encodeBase64url,
  type JoinAnswer,
  type RouteName,
  routes,
} from '#protocol'
import { createCsr, createKeyPair, spkiOf } from '#x509'
import type { Credential } from './fleet.js'

const touchmark = fileURLToPath(new URL('../bin/touchmark.js', import.meta.url))
const ports = ['https', 'mqtt', 'websocket', 'health'].flatMap((door) => [`--${door}-port`, '0'])

/** Below `burst` of enrollment's limits, of which a join by TPM takes two. */
const joinsPerAddress = 50

/** One address may bring some hundred devices at once, and then a few a second: a fleet comes from many. */
export function fleetAddress(device: number): { readonly family: 4; readonly localAddress: string } {
  const address = Math.floor(device / joinsPerAddress)
  return { family: 4, localAddress: `127.1.${address >> 7}.${1 + (address & 127)}` }
}

export interface ServiceOptions {
  /** PEM file of the TPM makers that are trusted. */
  readonly ekRoots?: string
  /** Where CPU profiles of its threads are left when it stops. */
  readonly profiles?: string
}

interface Asking {
  /** In the place of `:id`. */
  readonly id?: string
  readonly body?: object | string
  /** Of a device that joins, instead of the operator's certificate. */
  readonly token?: string
}

/** `touchmark up` with a data folder of its own, and its operator. */
export class Service {
  readonly httpsPort: number
  readonly mqttPort: number
  readonly healthPort: number
  readonly pid: number
  readonly ca: string
  readonly #child: ChildProcess
  readonly #operator: Agent
  readonly #devices: Agent
  #joins = 0

  private constructor(child: ChildProcess, folder: string, { https, mqtt, health }: Ready['ports']) {
    const operatorFile = (name: string) => readFileSync(join(folder, 'operator', name), 'utf8')
    this.#child = child
    this.pid = child.pid ?? 0
    this.httpsPort = https
    this.mqttPort = mqtt
    this.healthPort = health
    this.ca = operatorFile('ca.crt')
    const { ca } = this
    // Connections are kept: what is measured is the call and not its handshake.
    this.#operator = new Agent({
      keepAlive: true,
      ca,
      cert: operatorFile('operator.crt'),
      key: operatorFile('operator.key'),
    })
    this.#devices = new Agent({ keepAlive: true, ca, maxSockets: 4 })
  }

  static async start(folder: string, { ekRoots, profiles }: ServiceOptions = {}): Promise<Service> {
    const profiling = profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`]
    const trusted = ekRoots === undefined ? [] : ['--ek-root', ekRoots]
    const given = ['up', '-o', 'json', '--host', '127.0.0.1', ...ports, ...trusted]
    const child = spawn(process.execPath, [...profiling, touchmark, ...given], {
      env: { PATH: process.env['PATH'], HOME: folder, TOUCHMARK_HOME: folder },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    for await (const line of createInterface({ input: child.stdout })) {
      const ready = JSON.parse(line) as Ready
      if (ready.event === 'ready') return new Service(child, folder, ready.ports)
    }
    throw new Error('touchmark up has ended before it was ready')
  }

  /** Asks the API; an answer that is none of success is an error. */
  async ask(route: RouteName, asking: Asking = {}): Promise<unknown> {
    const { method, path } = routes[route]
    const { id = '', body, token } = asking
    const sending = request({
      ...{ host: 'localhost', port: this.httpsPort, method, path: path.replace(':id', id) },
      ...(token === undefined ? { agent: this.#operator } : { agent: this.#devices, ...this.#nextAddress() }),
      headers: {
        ...(body !== undefined && {
          'content-type': typeof body === 'string' ? 'application/yaml' : 'application/json',
        }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
    })
    const answered = once(sending, 'response') as Promise<[IncomingMessage]>
    sending.end(typeof body === 'object' ? JSON.stringify(body) : body)
    const [response] = await answered
    const answer = await text(response)
    if ((response.statusCode ?? 500) >= 300) throw new Error(`${route}: ${response.statusCode} ${answer}`)
    return JSON.parse(answer) as unknown
  }

  /** A token with which as many devices can join. */
  async tokenFor(order: CreateTokenRequest): Promise<string> {
    const { token } = (await this.ask('createToken', { body: order })) as CreateTokenAnswer
    return token
  }

  /** A device with a key of its own. */
  async join(token: string): Promise<{ readonly id: string; readonly credential: Credential }> {
    const { privateKey, publicKey } = createKeyPair('P-256')
    const csr = await createCsr({
      spki: spkiOf(publicKey),
      sign: (data: Uint8Array) => Promise.resolve(new Uint8Array(sign('sha256', data, privateKey))),
    })
    const joined = (await this.ask('joinToken', { token, body: { csr: encodeBase64url(csr) } })) as Joined
    return {
      id: joined.deviceId,
      credential: {
        key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
        cert: [joined.certificate, ...joined.chain].join(''),
      },
    }
  }

  #nextAddress(): ReturnType<typeof fleetAddress> {
    return fleetAddress(this.#joins++)
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'close')
    this.#child.kill('SIGTERM')
    await ended
    this.#operator.destroy()
    this.#devices.destroy()
  }
}

type Joined = Pick<JoinAnswer, 'deviceId' | 'certificate' | 'chain'>

interface Ready {
  readonly event: string
  readonly ports: { readonly https: number; readonly mqtt: number; readonly health: number }
}
