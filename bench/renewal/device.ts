import { type KeyObject, sign } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { encodeBase64url, type JoinAnswer } from '#protocol'
import { createCsr, createKeyPair, spkiOf } from '#x509'
import { reconnecting, waitAfter } from '../../device-agent/back-off.js'
import type { Credential } from '../fleet.js'
import { type Door, Refused, Visit } from '../join/door.js'
import { Client } from '../load/client.js'

type Issued = Pick<JoinAnswer, 'deviceId' | 'certificate' | 'chain'>

/** How often a device was turned away before it was in. */
export interface Return {
  readonly refused: number
}

/** A device with a key in software, which keeps its latest certificate. */
export class Device {
  readonly #door: Door
  /** The how many-eth it is. */
  readonly #place: number
  readonly #key: KeyObject
  readonly #csr: string
  #id = ''
  #credential: Credential | undefined
  #client: Client | undefined

  private constructor(door: Door, place: number, key: KeyObject, csr: string) {
    this.#door = door
    this.#place = place
    this.#key = key
    this.#csr = csr
  }

  static async create(door: Door, place: number): Promise<Device> {
    const { privateKey, publicKey } = createKeyPair('P-256')
    const csr = await createCsr({
      spki: spkiOf(publicKey),
      sign: (data) => Promise.resolve(new Uint8Array(sign('sha256', data, privateKey))),
    })
    return new Device(door, place, privateKey, encodeBase64url(csr))
  }

  async join(token: string): Promise<void> {
    await this.#visit(async (visit) => this.#keep(await visit.ask('joinToken', { csr: this.#csr }, token)))
  }

  /** With the same key. The first use of the certificate before it is this very request. */
  async renew(): Promise<void> {
    await this.#visit(async (visit) => this.#keep(await visit.ask('renew', { csr: this.#csr })))
  }

  /** Comes back as an agent does: tries until it is in, with the agent's own back-off. `renews`: its certificate is due. */
  async comeBack(mqttPort: number, renews: boolean): Promise<Return> {
    let isFresh = !renews
    for (let refused = 0; ;) {
      try {
        if (!isFresh) await this.renew()
        isFresh = true
        await this.#connect(mqttPort)
        return { refused }
      } catch (error) {
        refused++
        await wait(
          waitAfter(reconnecting, refused, Math.random, error instanceof Refused ? error.retryAfterSeconds : 0),
        )
      }
    }
  }

  /** As when the power is cut. */
  async vanish(): Promise<void> {
    await this.#client?.vanish()
  }

  async #connect(port: number): Promise<void> {
    const clients = { [this.#id]: this.#credential ?? { key: '', cert: '' } }
    const client = await Client.connect({ ca: this.#door.ca, clients }, port, this.#id)
    await client.subscribe(`fleet/site-7/${this.#id}/commands/#`, 1)
    this.#client = client
  }

  async #visit(work: (visit: Visit) => Promise<void>): Promise<void> {
    const visit = await Visit.begin(this.#door, this.#place, this.#credential)
    try {
      await work(visit)
    } finally {
      await visit.end()
    }
  }

  #keep(answer: unknown): void {
    const { deviceId, certificate, chain } = answer as Issued
    this.#id = deviceId
    this.#credential = {
      key: this.#credential?.key ?? this.#key.export({ format: 'pem', type: 'pkcs8' }).toString(),
      cert: [certificate, ...chain].join(''),
    }
  }
}
