import { createPublicKey, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { connect as tlsConnect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { createMemoryAudit, type MemoryAudit } from '#audit'
import { Broker, type BrokerLimits, type BrokerOptions } from '#broker'
import { parsePolicy, renderPolicy } from '#policy'
import {
  type AuditEventName,
  type AuditRecord,
  type DeviceId,
  type Labels,
  parseDeviceId,
  parseTrustDomain,
  type Tier,
} from '#protocol'
import { createMemoryStore, type Store } from '#store'
import { createCertificate, createKeyPair, encodePem, oids, readDeviceIdentity, spkiOf, tierPolicyOid } from '#x509'

export const trustDomain = parseTrustDomain('fleet.example')

/** Everything a device may do in most tests: speak below `f/ID`, hear what it is told there, and all of `open/#`. */
export const policySource = (more = '') => `
apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: test, version: 3 }
${more}
roles:
  device:
    sessions: { max: 3 }
    allow:
      - { id: own, actions: [publish, will], topics: ["f/\${device.id}/#", "open/#"], qos: { max: 1 }, retain: true }
      - { id: hear, actions: [subscribe, receive], topics: ["f/\${device.id}/#", "open/#"], qos: { max: 1 } }
    deny:
      - { id: secret, actions: [receive], topics: ["open/secret"] }
  single:
    allow:
      - { id: hear, actions: [subscribe, receive], topics: ["a/+", "zero/#"], qos: { max: 0 } }
bindings:
  - { role: device, match: { labels: { kind: device } } }
  - { role: single, match: { labels: { kind: single } } }
`

/** `localAddress`: where the client is; all of 127.0.0.0/8 is this machine. */
type RawOptions = Partial<ConnectionOptions> & { readonly localAddress?: string }

/** In PEM. */
export interface Credentials {
  readonly key: string
  readonly cert: string
}

/** As long as a world is there: a test, or a part of one. */
export interface Scope {
  after(end: () => Promise<void>): void
}

export interface World {
  readonly broker: Broker
  readonly audit: MemoryAudit
  readonly store: Store
  readonly port: number
  readonly ca: string
  /** Milliseconds since 1970 by the broker's clock; set it to let time pass. */
  clock: number
  /** The registry's side: labels a device has, and whether it is admitted. */
  readonly labels: Map<DeviceId, Labels>
  readonly refused: Map<DeviceId, string>
  readonly promoted: DeviceId[]
  pending: boolean
  setPolicy(source: string): void
  credentials(id: string, days?: number): Promise<Credentials>
  client(id: string, options?: Partial<IClientOptions>): Promise<MqttClient>
  raw(id: string, options?: RawOptions, level?: 4 | 5): Promise<RawClient>
  /** As after a restart: the same store, another process. */
  restart(): Promise<void>
  /** As after a kill: what is stored at this moment, and nothing of what the process would have done at its end. */
  crash(): Promise<void>
  records<Name extends AuditEventName>(event: Name): readonly Extract<AuditRecord, { event: Name }>[]
}

/** One CA for the whole run: it takes time to make and nothing in it differs. */
export const authority = makeAuthority()

/** A broker on a free port of loopback, with a registry, a policy and an audit log that live in memory. */
export async function makeWorld(
  t: Scope,
  {
    limits = {},
    policy = policySource(),
    change = {},
  }: {
    readonly limits?: Partial<BrokerLimits>
    readonly policy?: string
    readonly change?: Partial<BrokerOptions>
  } = {},
): Promise<World> {
  const { ca, server, issue } = await authority
  let store = createMemoryStore()
  const audit = createMemoryAudit({ now: () => world.clock })
  let parsed = parsePolicy(policy, 'policy.yaml')
  const open = () =>
    Broker.open({
      audit,
      store,
      identify: (der) => readDeviceIdentity(der, trustDomain),
      admit: ({ deviceId }) => {
        const reason = world.refused.get(deviceId)
        if (reason !== undefined) return { admitted: false, reason }
        return { admitted: true, state: world.pending ? 'pending' : 'current' }
      },
      promote: async ({ deviceId }) => {
        await Promise.resolve()
        world.promoted.push(deviceId)
      },
      policyFor: (id, from) => {
        if (world.refused.has(id)) return undefined
        const attributes = { id, tier: 'tpm', labels: world.labels.get(id) ?? { kind: 'device' } } as const
        return renderPolicy(parsed, attributes, { from, at: world.clock })
      },
      now: () => world.clock,
      limits: { sweepMilliseconds: 5, ...limits },
      ...change,
    })
  const listening = { host: '127.0.0.1', port: 0, tls: { ...server, ca } }
  const sockets = new Set<TLSSocket>()
  const clients = new Set<MqttClient>()

  const world = {
    audit,
    ca,
    clock: Date.now(),
    labels: new Map<DeviceId, Labels>(),
    refused: new Map<DeviceId, string>(),
    promoted: [] as DeviceId[],
    pending: false,
    setPolicy(source: string) {
      parsed = parsePolicy(source, 'policy.yaml')
    },
    credentials: issue,
    async client(id: string, options: Partial<IClientOptions> = {}) {
      const [device = id] = id.split('~')
      const credentials = await issue(device)
      const client = mqtt.connect({
        protocol: 'mqtts',
        host: '127.0.0.1',
        port: world.port,
        ca,
        ...credentials,
        clientId: id,
        protocolVersion: 4,
        reconnectPeriod: 0,
        ...options,
      })
      clients.add(client)
      await new Promise<void>((resolve, reject) => {
        client.once('connect', () => resolve())
        client.once('error', reject)
      })
      return client
    },
    async raw(id: string, options: RawOptions = {}, level: 4 | 5 = 4) {
      const socket = tlsConnect({ host: '127.0.0.1', port: world.port, ca, ...(await issue(id)), ...options })
      sockets.add(socket)
      socket.on('error', () => undefined)
      await once(socket, 'secureConnect')
      return new RawClient(socket, level)
    },
    async restart() {
      await world.broker.closeGracefully()
      broker = await open()
      port = (await broker.listen(listening)).port
    },
    async crash() {
      const left = createMemoryStore()
      for await (const row of store.entries('')) await left.commit({ puts: [row] })
      await world.broker.closeGracefully()
      store = left
      broker = await open()
      port = (await broker.listen(listening)).port
    },
    records: <Name extends AuditEventName>(event: Name) =>
      audit.records.filter((record): record is Extract<AuditRecord, { event: Name }> => record.event === event),
    get store() {
      return store
    },
    get broker() {
      return broker
    },
    get port() {
      return port
    },
  }
  let broker = await open()
  let { port } = await broker.listen(listening)
  t.after(async () => {
    for (const client of clients) client.end(true)
    for (const socket of sockets) socket.destroy()
    audit.release()
    await world.broker.closeGracefully()
  })
  return world
}

/** Speaks MQTT by hand: writes what a well-behaved client would not, and hears every packet. */
export class RawClient {
  readonly socket: TLSSocket
  readonly received: Packet[] = []
  /** Resolves when the service has closed the connection. */
  readonly closed: Promise<void>
  /** Of the protocol: 4 for MQTT 3.1.1, 5 for MQTT 5. */
  readonly level: 4 | 5
  readonly #parser
  #waiting: (() => void)[] = []

  constructor(socket: TLSSocket, level: 4 | 5 = 4) {
    this.socket = socket
    this.level = level
    this.#parser = mqttPacket.parser({ protocolVersion: level })
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    this.#parser.on('packet', (packet: Packet) => this.received.push(packet))
    socket.on('data', (chunk: Buffer) => {
      this.#parser.parse(chunk)
      this.#wake()
    })
    socket.once('close', () => this.#wake())
  }

  send(...packets: readonly Packet[]): void {
    this.write(Buffer.concat(packets.map((packet) => mqttPacket.generate(packet, { protocolVersion: this.level }))))
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes)
  }

  /** The nth packet of a kind, when it has come. */
  async next<Command extends Packet['cmd']>(cmd: Command, nth = 1): Promise<Extract<Packet, { cmd: Command }>> {
    for (;;) {
      const found = this.all(cmd)[nth - 1]
      if (found) return found
      if (this.socket.closed) throw new Error(`closed without ${cmd} number ${nth}`)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  all<Command extends Packet['cmd']>(cmd: Command): readonly Extract<Packet, { cmd: Command }>[] {
    return this.received.filter((packet): packet is Extract<Packet, { cmd: Command }> => packet.cmd === cmd)
  }

  /** CONNECT and its answer. */
  async connect(clientId: string, more: Partial<Extract<Packet, { cmd: 'connect' }>> = {}) {
    this.send(connectPacket(clientId, { protocolVersion: this.level, ...more }))
    return this.next('connack')
  }

  /** An answer to PINGREQ says that all before it was handled. */
  async ping(): Promise<void> {
    const before = this.all('pingresp').length
    this.send({ cmd: 'pingreq' })
    await this.next('pingresp', before + 1)
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}

/** A client that has connected and subscribed to one filter, which was answered. */
export async function listenTo(
  world: World,
  id: string,
  filter: string,
  qos: 0 | 1 | 2,
  more: Parameters<RawClient['connect']>[1] = {},
): Promise<RawClient> {
  const listener = await world.raw(id)
  await listener.connect(id, more)
  listener.send(subscribePacket(1, [filter, qos]))
  await listener.next('suback')
  return listener
}

export function connectPacket(clientId: string, more: Partial<Extract<Packet, { cmd: 'connect' }>> = {}): Packet {
  const fixed = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, keepalive: 60, clean: true } as const
  return { ...fixed, clientId, ...more }
}

export function publishPacket(topic: string, payload: string | Buffer, more: object = {}): Packet {
  return { cmd: 'publish', topic, payload, qos: 0, retain: false, dup: false, ...more }
}

export function subscribePacket(messageId: number, ...filters: readonly (readonly [string, 0 | 1 | 2])[]): Packet {
  return { cmd: 'subscribe', messageId, subscriptions: filters.map(([topic, qos]) => ({ topic, qos })) }
}

/** Waits until a condition holds, looking again after every record of the audit log's double and every turn. */
export async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`never came true: ${holds.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

export const device = parseDeviceId

interface Certifying {
  /** Default: `tpm` */
  readonly tier?: Tier
  /** Default: 1 */
  readonly days?: number
  /** Default: a new one */
  readonly privateKey?: KeyObject
}

async function makeAuthority() {
  const start = new Date(Date.now() - 3_600_000)
  const inDays = (days: number) => new Date(Date.now() + days * 86_400_000)
  const root = createKeyPair('P-256')
  const rootDer = await createCertificate(
    {
      subject: [{ type: oids.commonName, value: 'Test root' }],
      spki: spkiOf(root.publicKey),
      notBefore: start,
      notAfter: inDays(30),
      authority: {},
      keyUsage: ['keyCertSign', 'cRLSign'],
    },
    { privateKey: root.privateKey },
  )
  const issuer = { privateKey: root.privateKey, certificate: rootDer }
  const pem = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString()

  const serverPair = createKeyPair('P-256')
  const serverDer = await createCertificate(
    {
      subject: [{ type: oids.commonName, value: 'localhost' }],
      spki: spkiOf(serverPair.publicKey),
      notBefore: start,
      notAfter: inDays(30),
      keyUsage: ['digitalSignature'],
      extKeyUsage: [oids.serverAuth],
      subjectAltName: [{ dns: 'localhost' }, { ip: '127.0.0.1' }],
    },
    issuer,
  )

  const issued = new Map<string, Promise<Credentials>>()
  const certify = async (id: string, { tier = 'tpm', days = 1, privateKey }: Certifying = {}): Promise<Credentials> => {
    const key = privateKey ?? createKeyPair('P-256').privateKey
    const der = await createCertificate(
      {
        subject: [{ type: oids.commonName, value: id }],
        spki: spkiOf(createPublicKey(key)),
        notBefore: start,
        notAfter: inDays(days),
        keyUsage: ['digitalSignature'],
        extKeyUsage: [oids.clientAuth],
        subjectAltName: [{ uri: `spiffe://${trustDomain}/device/${id}` }],
        certificatePolicies: [tierPolicyOid(tier)],
        noRevAvail: true,
      },
      issuer,
    )
    return { key: pem(key), cert: encodePem('CERTIFICATE', der) }
  }
  return {
    certify,
    ca: encodePem('CERTIFICATE', rootDer),
    server: { key: pem(serverPair.privateKey), cert: encodePem('CERTIFICATE', serverDer) },
    issue(id: string, days = 1): Promise<Credentials> {
      const name = `${id} ${days}`
      const known = issued.get(name) ?? certify(id, { days })
      issued.set(name, known)
      return known
    },
  }
}
