import type { KeyObject } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { createMemoryAudit, encodeLines, matcherOf, PayloadArchive } from '#audit'
import {
  type AuditRecord,
  type DeviceId,
  type OperatorName,
  parseDeviceId,
  parseFingerprint,
  parseLockId,
  parseOperatorName,
  parseProfileName,
  parseTokenId,
  type RouteName,
  routes,
  type SessionView,
} from '#protocol'
import type { OperatorRequest } from '#ca'
import { Approvals } from '#enrollment'
import { defaultPolicy, everyRight } from '#policy'
import { Registry } from '#registry'
import { createMemoryStore } from '#store'
import { createCertificate, createKeyPair, encodePem, fingerprintOf, oids, readSerial, spkiOf } from '#x509'
import { Attesting } from '../../server/attesting.js'
import { AuditReads } from '../../server/audit-reads.js'
import { EventLogs } from '../../server/event-logs.js'
import { Discovery } from '../../server/discovery/discovery.js'
import { ServiceDirectory } from '../../server/discovery/directory.js'
import { DiscoveryReads } from '../../server/discovery/reads.js'
import { Inventory } from '../../server/inventory/inventory.js'
import { createFaces } from '../../server/http/faces.js'
import { OpenRequests } from '../../server/http/open-requests.js'
import { OperatorGate } from '../../server/http/operators.js'
import type { Channel, Service } from '../../server/http/service.js'
import { Issuers } from '../../server/issuers.js'
import { PcrPolicies } from '../../server/pcr-policies/pcr-policies.js'
import { readKnownMakers } from '../../server/tpm-makers.js'
import { PolicyInForce } from '../../server/policy-in-force.js'
import { People } from '../../server/people.js'
import { OperatorRefusals } from '../../server/refusals.js'
import { type Authority, makeIssuing, makeRoot, trustDomain } from '../x509/world.js'

/** Node verifies the server by the real clock, so these certificates are valid on any day that tests run. */
const always = { notBefore: new Date('2020-01-01T00:00:00Z'), notAfter: new Date('2090-01-01T00:00:00Z') }
export const by = { operator: parseOperatorName('ada'), peer: '192.0.2.1:1000' }

/** What a client shows: nothing, or a certificate chain with its key. */
export interface Client {
  readonly cert: string
  readonly key: string
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
  json(): unknown
}

/** The HTTPS faces on a free port, over a real registry, policy and certificates; log, store and sessions in memory. */
export async function createWorld(t: TestContext, differently: Partial<Service> = {}) {
  const clock = { now: Date.parse('2026-03-01T12:00:00Z') }
  const now = () => clock.now
  const root = await makeRoot(always)
  const issuing = await makeIssuing(root, always)
  const audit = createMemoryAudit({ now })
  const store = createMemoryStore()
  const registry = await Registry.open({ store, audit, replay: (from) => fromLog(audit.records, from), now })
  const policy = await PolicyInForce.open({ store, audit, attributesOf: attributes(registry), now }, defaultPolicy, by)
  const approvals = new Approvals({ registry, audit, now })
  const makers = [{ id: 'ekRoots', roots: [root.certificate], intermediates: [] }, ...readKnownMakers(['IFX', 'GOOG'])]
  const policies = await PcrPolicies.open({ store, audit, now })
  const attesting = new Attesting({ makers, policies, eventLogs: new EventLogs(store), registry, now })
  const refusals = new OperatorRefusals(audit)
  const auditReads = new AuditReads(audit)
  const issuers = new Issuers(authorityOf(root, issuing), trustDomain, now)
  const ended: DeviceId[] = []
  const sessions: SessionView[] = []
  const heard = new Map<DeviceId, number>()
  const kicked: string[] = []
  const channels: Channel[] = []
  const turnedAway: string[] = []
  const erased: unknown[] = []
  registry.locks.follow('test', ({ revision, revoked, locked }, { applied }) => {
    ended.push(...revoked, ...locked)
    applied(revision, { sessions: revoked.length + locked.length, purged: 2 })
  })
  const issueOperator = async (name: OperatorName, { spki, ttlSeconds = 28_800, facts }: OperatorRequest) => {
    const terms = { at: clock.now, lifeSeconds: ttlSeconds, spki }
    const { der } = await createLeaf(issuing, name, terms)
    const times = { notBefore: clock.now, notAfter: clock.now + ttlSeconds * 1000 }
    const serial = readSerial(der)
    await registry.recordOperator({
      operator: name,
      fingerprint: fingerprintOf(der),
      serial,
      certificate: der,
      ...times,
      ...facts,
    })
    const certificatePem = encodePem('CERTIFICATE', der)
    return { name, serial, certificatePem, chainPem: certificatePem, notAfter: new Date(times.notAfter) }
  }
  const rightsOf = (operator: OperatorName) => (operator === by.operator ? everyRight : policy.rightsOf(operator))
  const requests = new OpenRequests({ restMs: 500 })
  const service: Service = {
    registry,
    policy,
    audit,
    auditReads,
    enrollment: createEnrollmentDouble(channels, turnedAway),
    approvals,
    attesting,
    requests,
    operators: new OperatorGate({
      identifyOperator: (der) => issuers.identifyOperator(der),
      admitOperator: (fingerprint) => registry.admitOperator(fingerprint),
      rightsOf,
      hosts: ['localhost', '127.0.0.1'],
      labelsOf: (device) => registry.device(device)?.labels,
      refusals,
    }),
    people: new People({
      ca: { issueOperator: (name, request) => issueOperator(name, request) },
      ...{ registry, now, rightsOf, terms: { certificateHours: 8, certificateMostHours: 72 } },
      place: () => ({ host: 'localhost', port: 8443, pins: [fingerprintOf(root.certificate)] }),
      ensureAdmin: async () => undefined,
    }),
    rootPem: () => encodePem('CERTIFICATE', root.certificate),
    authorities: () => [issuing.certificate, root.certificate],
    inventory: new Inventory({
      ...{ registry, now, elapsed: now },
      isOnline: (id) => sessions.some(({ device, connected }) => connected && device === id),
      heardAt: (device) => heard.get(device),
    }),
    discovery: new Discovery({
      ...{ elapsed: now, directory: new ServiceDirectory(registry), reads: new DiscoveryReads(audit) },
      identify: (der) => issuers.identifyDevice(der),
      admit: (holder, address) => registry.admit(holder, address),
      rightsOf: (device, from) => policy.effectiveFor(device, from),
      isOnline: () => false,
    }),
    sessions: () => sessions,
    kick: (clientId, { forget }) => {
      kicked.push(clientId)
      const session = sessions.find((known) => known.clientId === clientId)
      return session && { ended: session.connected, purged: forget ? session.queued : 0 }
    },
    createLockId: () => parseLockId(`lock-${registry.allLocks().length + 1}`),
    studyPolicy: ({ leaving: signal }) => ({
      ...{ now, elapsed: now, signal },
      inForce: () => policy.view,
      read: (source, file) => policy.read(source, file),
      devices: () => registry.devices().map(({ id }) => id),
      attributesOf: attributes(registry),
      liveSessions: () => [],
      search: (query) => {
        const found = audit.records.filter(matcherOf(query))
        return encodeLines(fromLog(query.order === 'oldest' ? found : found.toReversed(), 0))
      },
    }),
    searchAudit: ({ query: { after = -1, devices } }) => {
      const isTheirs = (record: AuditRecord) => {
        return !devices || ('device' in record && record.device !== undefined && devices.has(record.device))
      }
      return encodeLines(fromLog(audit.records.filter(isTheirs), after + 1))
    },
    payloads: new PayloadArchive({
      directory: '/nowhere',
      keyFolder: '/nowhere',
      recordAt: async (sequence) => audit.records[sequence],
    }),
    erasePayloadKeys: async (keys) => {
      erased.push(keys)
      return 1
    },
    checkpoint: () => ({ checkpoint: 'note', verifierKey: 'key' }),
    rotateAuditKey: async (_request, by) => {
      const keys = { verifierKey: 'new', previousVerifierKey: 'old' }
      audit.append({ event: 'log.key_rotate', ...keys, notAfter: clock.now, ...by })
      return { ...keys, notAfter: new Date(clock.now).toISOString() }
    },
    recordAt: async (sequence) => audit.records[sequence],
    proveRecord: async (sequence) => `proof of ${sequence}`,
    takeBackup: async function* (by) {
      audit.append({ event: 'backup.take', ...by })
      yield new Uint8Array(512)
    },
    status: () => {
      throw new TypeError('a fault of our own')
    },
    createJoinToken: () => ({
      id: parseTokenId('t1'),
      token: 'tm1.t1.secret',
      secretHash: parseFingerprint('ab'.repeat(32)),
    }),
    joinUri: () => 'touchmark://localhost:8443/default?pin=sha256:x',
    now,
    ...differently,
  }
  const server = await createLeaf(issuing, 'localhost', { server: true })
  const app = await createFaces(service, { version: '0', tls: server, log: false })
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.after(() => app.close())
  const { port } = app.server.address() as AddressInfo
  const ca = encodePem('CERTIFICATE', root.certificate)

  return {
    ...{
      clock,
      root,
      issuing,
      audit,
      store,
      registry,
      policy,
      ended,
      sessions,
      heard,
      kicked,
      channels,
      turnedAway,
      erased,
      port,
      ca,
      app,
      refusals,
      auditReads,
      approvals,
      attesting,
      requests,
    },
    /** An operator whose certificate the registry knows; ada may do everything, others what the policy lets them. */
    async operator(name = 'ada', lifeSeconds = 3600): Promise<Client> {
      const leaf = await createLeaf(issuing, name, { at: clock.now, lifeSeconds })
      const der = leaf.der
      const times = { notBefore: clock.now - 1000, notAfter: clock.now + lifeSeconds * 1000 }
      const facts = { fingerprint: fingerprintOf(der), serial: readSerial(der), certificate: der, ...times }
      await registry.recordOperator({ operator: parseOperatorName(name), ...facts })
      return leaf
    },
    call: (name: RouteName, client: Client | undefined, options: CallOptions = {}) => {
      const { method, path } = routes[name]
      return send(port, ca, client, { method, path: path.replace(':id', options.id ?? ''), ...options })
    },
    send: (options: SendOptions, client?: Client) => send(port, ca, client, options),
    refusalsOnRecord: () => audit.records.filter((record) => record.event === 'operator.refuse'),
    async device(id: string): Promise<DeviceId> {
      const device = parseDeviceId(id)
      const anchor = { kind: 'ek', hash: fingerprintOf(new TextEncoder().encode(id)) } as const
      await registry.registerDevice({ device, profile: parseProfileName('default'), labels: {}, anchor }, by)
      return device
    },
  }
}

export interface CallOptions {
  readonly id?: string
  readonly query?: string
  readonly body?: unknown
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface SendOptions extends CallOptions {
  readonly method: string
  readonly path: string
}

export async function createLeaf(
  issuer: Authority,
  name: string,
  { server = false, at, lifeSeconds = 3600, device = false, spki }: LeafOptions = {},
): Promise<Client & { readonly der: Uint8Array; readonly privateKey: KeyObject }> {
  const { privateKey, publicKey } = createKeyPair('P-256')
  const uri = `spiffe://${trustDomain}/${device ? 'device' : 'operator'}/${name}`
  const der = await createCertificate(
    {
      subject: [{ type: oids.commonName, value: name }],
      spki: spki ?? spkiOf(publicKey),
      ...(at === undefined ? always : { notBefore: new Date(at - 1000), notAfter: new Date(at + lifeSeconds * 1000) }),
      keyUsage: ['digitalSignature'],
      extKeyUsage: [server ? oids.serverAuth : oids.clientAuth],
      subjectAltName: server ? [{ dns: 'localhost' }] : [{ uri }],
    },
    issuer,
  )
  return {
    der,
    privateKey,
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    cert: encodePem('CERTIFICATE', der) + encodePem('CERTIFICATE', issuer.certificate),
  }
}

interface LeafOptions {
  readonly server?: boolean
  readonly device?: boolean
  /** Valid from then; without it, on any day. */
  readonly at?: number
  readonly lifeSeconds?: number
  /** Of a key that somebody else has. Default: of a new one */
  readonly spki?: Uint8Array
}

function send(port: number, ca: string, client: Client | undefined, options: SendOptions): Promise<Answer> {
  const { method, path, query = '', body, type = 'application/json', headers = {} } = options
  const content = typeof body === 'string' ? body : body === undefined ? undefined : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const sending = request({
      ...{ host: '127.0.0.1', servername: 'localhost', port, method, path: path + query, ca, agent: false },
      ...(client && { cert: client.cert, key: client.key }),
      headers: { ...(content !== undefined && { 'content-type': type }), ...headers },
    })
    sending.on('error', reject)
    sending.on('response', (response) => {
      text(response).then((body) => {
        const { statusCode: status = 0, headers } = response
        resolve({ status, headers, body, json: () => JSON.parse(body) as unknown })
      }, reject)
    })
    sending.end(content)
  })
}

/** Notes what it was given; what joining means is tested in its own room. */
function createEnrollmentDouble(channels: Channel[], turnedAway: string[]): Service['enrollment'] {
  const refuse = async (_first: unknown, _second: unknown, channel?: Channel): Promise<never> => {
    if (channel) channels.push(channel)
    throw new TypeError('not in this test')
  }
  return {
    termsOf: () => ({ pcrs: [0, 7], eventLog: true }),
    createNonce: () => ({ nonce: new Uint8Array(32), expires: new Date('2026-03-01T12:02:00Z') }),
    joinWithToken: refuse,
    joinWithIdevid: refuse,
    beginTpmJoin: (request, channel) => refuse(request, undefined, channel),
    activateTpmJoin: (request, channel) => refuse(request, undefined, channel),
    takesJobs: false,
    joinWithOidc: (request, channel) => refuse(request, undefined, channel),
    renew: refuse,
    renewalInfo: refuse,
    turnAway: (method, reason) => void turnedAway.push(`${method} ${reason}`),
  }
}

/** As much of the CA as checking a path needs. */
function authorityOf(root: Authority, issuing: Authority): ConstructorParameters<typeof Issuers>[0] {
  return {
    root: { der: root.certificate },
    intermediates: [{ der: issuing.certificate }],
  }
}

function attributes(registry: Registry) {
  return (id: DeviceId) => {
    const device = registry.device(id)
    return device && { id, tier: 'token' as const, labels: device.labels }
  }
}

async function* fromLog(records: readonly AuditRecord[], from: number): AsyncIterable<AuditRecord> {
  yield* records.slice(from)
}
