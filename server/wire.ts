import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import {
  AuditLog,
  createPublished,
  encodeLines,
  LogSearch,
  OutsideCheckpoints,
  PayloadArchive,
  Retention,
  WitnessClient,
} from '#audit'
import { Broker } from '#broker'
import { CertificateAuthority, type ServerCredential } from '#ca'
import { createJoinToken, Enrollment } from '#enrollment'
import {
  type AuditEvent,
  type AuditRecord,
  CodedError,
  encodeJoinUri,
  parseOperatorName,
  parseProfileName,
  type ProfileName,
  type StatusView,
} from '#protocol'
import { defaultPolicy } from '#policy'
import { Registry } from '#registry'
import { openLevelStore } from '#store'
import { AuditReads } from './audit-reads.js'
import { attributesOf } from './attributes.js'
import { CheckpointKeys } from './checkpoint-keys.js'
import { Closing } from './closing.js'
import { certificateHosts, publicHost, type ServerConfig } from './config.js'
import { renderConfigFile } from './config-file.js'
import { ServerError } from './errors.js'
import { makeFolder, readIfThere, writeDurably } from './files.js'
import { serveHealth } from './health.js'
import { formatAddress, secured } from './http/app.js'
import { createFaces } from './http/faces.js'
import { OpenRequests } from './http/open-requests.js'
import { OperatorGate } from './http/operators.js'
import type { Service } from './http/service.js'
import { Issuers } from './issuers.js'
import { listening } from './listening.js'
import { createMetrics } from './metrics.js'
import { ensureOperatorCredential } from './operator-credential.js'
import { PolicyInForce } from './policy-in-force.js'
import { OperatorRefusals } from './refusals.js'
import { checksOf, statusOf } from './status.js'
import { Upkeep } from './upkeep.js'

/** A service that listens. */
export interface OpenServer {
  /** Whether this run made the installation. */
  readonly firstRun: boolean
  /** A first join token, made at the first run only. */
  readonly firstToken?: string
  readonly ports: {
    readonly https: number
    readonly mqtt: number
    readonly websocket: number
    readonly health: number
  }
  readonly addresses: {
    readonly https: string
    readonly mqtts: string
    readonly wss: string
    readonly health: string
  }
  readonly joinUri: string
  readonly policyVersion: number
  readonly status: () => StatusView
  /** Renews what is due of the service's own certificates; a timer does the same. */
  renewDue(): Promise<void>
  /** Ends sessions in order, makes everything durable, lets go of the folder. */
  close(): Promise<void>
}

const defaultProfile = parseProfileName('default')
const firstTokenLifeMilliseconds = 3_600_000
/** What the service does by itself stands in the log under this name. */
const ourselves = { operator: parseOperatorName('touchmark') }

export interface Surroundings {
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number
  /** For whoever looks after the service. */
  readonly warn: (sentence: string) => void
}

/** Opens everything or nothing. @throws CodedError of the room that could not be opened */
export async function openServer(config: ServerConfig, surroundings: Surroundings): Promise<OpenServer> {
  const closing = new Closing()
  try {
    return await wire(config, surroundings, closing)
  } catch (error) {
    await closing.run().catch(() => undefined) // the first error is the one to tell
    throw error
  }
}

/** The only place where rooms meet. */
async function wire(config: ServerConfig, { now, elapsed, warn }: Surroundings, closing: Closing): Promise<OpenServer> {
  const { dataFolder, trustDomain } = config
  const inData = (...names: string[]) => join(dataFolder, ...names)
  const startedAt = now()

  await makeFolder(dataFolder)
  const store = await openLevelStore(inData('store')) // locks the folder, so it comes before anything else is touched
  closing.add(() => store.close())
  const firstRun = (await readIfThere(inData('operator', 'operator.crt'))) === undefined

  await makeFolder(inData('keys'))
  const origin = `${trustDomain}/audit`
  const checkpointKeys = await CheckpointKeys.open({ folder: inData('keys'), origin, now })
  const audit = await AuditLog.open({
    directory: inData('audit'),
    origin,
    ...checkpointKeys.signing,
    now,
    mode: config.auditMode,
    payload: config.payload,
  })
  audit.onFailure = (problem) => warn(`audit log: ${problem}`)
  const log = {
    ...{ directory: inData('audit'), origin, now },
    get verifierKeys() {
      return checkpointKeys.everKnown // they change while it runs
    },
  }
  const outside = await OutsideCheckpoints.open({
    checkpoint: () => audit.checkpoint(),
    places: [
      ...config.outside.witnesses.map((witness) => new WitnessClient(witness, log)),
      ...config.outside.publish.map((place) => createPublished(place, log)),
    ],
    record: (event) => recordIfOpen(audit, event),
    warn,
  })
  closing.add(() => outside.end()) // after the log, whose last checkpoint it takes along
  const requests = new OpenRequests()
  closing.add(() => requests.ended()) // after the log, whose last records go to who follows it
  closing.add(() => audit.close())
  await outside.requireContained() // before anything is recorded: that would be a fork
  const search = new LogSearch({ directory: inData('audit'), durable: () => audit.durable, elapsed, warn })
  closing.add(() => search.close())
  const { verifierKey } = audit
  audit.append({
    event: 'server.start',
    node: hostname(),
    version: config.version,
    runtime: `Node.js ${process.version}`,
    verifierKey,
  })
  await checkpointKeys.retireDue(audit)
  closing.add(checkpointKeys.start(audit, warn))

  const registry = await Registry.open({ store, audit, replay: (from) => audit.records(from), now })
  const ca = await CertificateAuthority.open({ directory: inData('ca'), trustDomain, registry, audit, now })
  const issuers = new Issuers(ca, trustDomain, now)
  const admitOperator = registry.admitOperator.bind(registry)
  const upkeep = await Upkeep.open({
    hosts: certificateHosts(config),
    ensureOperatorCredential: () => ensureOperatorCredential({ folder: inData('operator'), ca, admitOperator, now }),
    ...{ ca, warn, now },
  })
  const handOutVerifierKey = () => writeDurably(inData('operator', 'audit.vkey'), `${audit.verifierKey}\n`)
  await handOutVerifierKey()

  const policy = await PolicyInForce.open(
    { store, audit, attributesOf: (device) => attributesOf(registry, device), now },
    await firstPolicy(inData('policy.yaml')),
    ourselves,
  )
  const release = (minimumIndex: number) => registry.readLogOnlyFrom(minimumIndex)
  const retention = new Retention({ log: audit, retain: config.auditRetain, release, now, warn })
  const refusals = new OperatorRefusals(audit)
  const auditReads = new AuditReads(audit)
  closing.add(async () => {
    refusals.flush()
    auditReads.flush()
    audit.append({ event: 'server.stop' })
    await registry.settled()
  })

  const broker = await Broker.open({
    audit,
    store,
    identify: (peerDer) => issuers.identifyDevice(peerDer),
    admit: (identity) => registry.admit(identity),
    promote: (identity, peer) => registry.promote(identity, peer),
    policyFor: (device) => policy.effectiveFor(device),
    now,
    elapsed,
    version: `touchmark ${config.version}`,
  })
  closing.add(() => broker.closeGracefully())
  policy.onChange(() => broker.policyChanged())
  registry.onChange(({ kind, device }) => {
    if (kind === 'labels') broker.policyChanged()
    if (kind === 'promoted') broker.certificatesChanged(device)
  })

  const brokerTls = () => ({ ...tlsOf(upkeep.server), ca: ca.chain })
  const { proxies, allowedOrigins } = config
  const listenMqtt = (kind: 'tls' | 'websocket', port: number) =>
    broker.listen({ kind, host: config.host, port, tls: brokerTls(), proxies, allowedOrigins })
  const { port: mqttPort } = await listening('MQTT', config.host, config.mqttPort, () =>
    listenMqtt('tls', config.mqttPort),
  )
  const { port: websocketPort } = await listening('MQTT over WebSocket', config.host, config.websocketPort, () =>
    listenMqtt('websocket', config.websocketPort),
  )
  upkeep.onServerRenewed(() => broker.renewTls(brokerTls()))

  const host = publicHost(config)
  const brokerAddresses = { mqtts: `mqtts://${host}:${mqttPort}`, wss: `wss://${host}:${websocketPort}/mqtt` }
  const enrollment = new Enrollment({
    trustDomain,
    ca,
    registry,
    audit,
    profiles: [{ name: defaultProfile, allowUnvouchedTpm: true }],
    ekAnchors: config.ekAuthorities.roots,
    ekIntermediates: config.ekAuthorities.intermediates,
    cookieKey: randomBytes(32),
    broker: brokerAddresses,
    now,
  })

  closing.add(() => enrollment.close())

  const stopping = new AbortController()
  const status = () => statusOf({ config, startedAt, registry, broker, audit, retention, outside, policy, ca })
  const service: Service = {
    registry,
    policy,
    enrollment,
    audit,
    auditReads,
    requests,
    operators: new OperatorGate({ identifyOperator: (der) => issuers.identifyOperator(der), admitOperator, refusals }),
    sessions: () => broker.sessions(),
    kick: (clientId, how) => broker.kick(clientId, how),
    endDevice: (device) => broker.endDevice(device, 'revoked'),
    searchAudit: ({ query, follow }, { operator, leaving }) => {
      if (follow) return untilEnded(audit, encodeLines(audit.follow(query, { signal: leaving })))
      return search.lines(query, { operator, signal: AbortSignal.any([leaving, stopping.signal]) })
    },
    payloads: new PayloadArchive({
      directory: inData('audit'),
      keyFolder: config.payload.keyFolder,
      recordAt: (sequence) => recordAt(audit, sequence),
    }),
    erasePayloadKeys: (keys) => audit.erasePayloadKeys(keys),
    checkpoint: () => ({ checkpoint: audit.checkpoint(), verifierKey: audit.verifierKey }),
    rotateAuditKey: async (request, by) => {
      const answer = await checkpointKeys.rotate(audit, request, by)
      await handOutVerifierKey()
      return answer
    },
    proveRecord: (sequence) => audit.prove(sequence),
    status,
    createJoinToken,
    joinUri: (profile) => joinUri(profile),
    now,
  }
  const faces = await createFaces(service, { version: config.version, tls: tlsOf(upkeep.server), log: config.log })
  upkeep.onServerRenewed((credential) => faces.server.setSecureContext(secured(tlsOf(credential))))
  closing.add(async () => {
    stopping.abort(new ServerError('NOT_READY', 'the service stops'))
    await requests.settled()
  })
  await listening('HTTPS', config.host, config.httpsPort, () =>
    faces.listen({ host: config.host, port: config.httpsPort }),
  )
  const httpsPort = portOf(faces.server.address())
  const joinUri = (profile: ProfileName) => encodeJoinUri({ host, port: httpsPort, profile, pins: [ca.root.spkiHash] })

  const parts = { now, store, audit, retention, outside, ca, registry, broker, policy, startedAt }
  const metrics = createMetrics({ startedAt, now, totals: status, audit, retention, outside, broker })
  closing.add(() => metrics.close())
  const { healthHost, healthPort } = config
  const health = await listening('health', healthHost, healthPort, () =>
    serveHealth({ host: healthHost, port: healthPort }, checksOf(parts), metrics),
  )
  closing.add(() => health.close())
  closing.add(upkeep.start())
  closing.add(retention.start())
  outside.start(config.outside.everyMilliseconds)

  await writeDurably(inData('operator', 'server.url'), `https://localhost:${httpsPort}\n`)
  if ((await readIfThere(inData('touchmark.yaml'))) === undefined) {
    await writeDurably(inData('touchmark.yaml'), renderConfigFile({ ...config, ekRoots: config.ekRootFiles }))
  }
  return {
    firstRun,
    ...(firstRun && { firstToken: await createFirstToken(registry, now) }),
    ports: { https: httpsPort, mqtt: mqttPort, websocket: websocketPort, health: health.port },
    addresses: {
      https: `https://${host}:${httpsPort}`,
      ...brokerAddresses,
      health: `http://${formatAddress(config.healthHost, health.port)}`,
    },
    joinUri: joinUri(defaultProfile),
    policyVersion: policy.view.version,
    status,
    renewDue: () => upkeep.renewDue(),
    close: () => closing.run(),
  }
}

/** What is only said in a record as well: the last look outside comes after the log's end. */
function recordIfOpen(audit: AuditLog, event: AuditEvent): void {
  try {
    audit.append(event)
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
  }
}

/** Who follows hears of the service's stop by its record, and of a failure, after which there is none, in so many words. */
async function* untilEnded(audit: AuditLog, lines: AsyncIterable<string>): AsyncGenerator<string> {
  yield* lines
  if (!audit.healthy) throw new ServerError('NOT_READY', audit.problem ?? 'the log has ended')
}

function tlsOf({ privateKeyPem, chainPem }: ServerCredential) {
  return { key: privateKeyPem, cert: chainPem }
}

async function recordAt(audit: AuditLog, sequence: number): Promise<AuditRecord | undefined> {
  for await (const record of audit.records(sequence)) return record
  return undefined
}

function portOf(address: AddressInfo | string | null): number {
  if (typeof address !== 'object' || address === null) throw new TypeError('a TCP listener has a port')
  return address.port
}

/** The policy file of a first run; once a policy is in force the store's copy counts. */
async function firstPolicy(path: string): Promise<string> {
  const file = await readIfThere(path)
  if (file !== undefined) return new TextDecoder().decode(file)
  await writeDurably(path, defaultPolicy)
  return defaultPolicy
}

async function createFirstToken(registry: Registry, now: () => number): Promise<string> {
  const { id, token, secretHash } = createJoinToken()
  const terms = { profile: defaultProfile, labels: {}, uses: 1, notAfter: now() + firstTokenLifeMilliseconds }
  await registry.createToken({ token: id, secretHash, ...terms }, ourselves)
  return token
}
