import type { AddressInfo } from 'node:net'
import { type AuditLog, encodeLines, PayloadArchive, type Retention } from '#audit'
import type { CertificateAuthority } from '#ca'
import { type Approvals, createJoinToken, type Enrollment } from '#enrollment'
import { type AuditRecord, encodeJoinUri, type JoinUri, type ProfileName, type StatusView } from '#protocol'
import type { Registry } from '#registry'
import type { Store } from '#store'
import { attributesOf } from './attributes.js'
import type { Attesting } from './attesting.js'
import type { AuditReads } from './audit-reads.js'
import { Backups } from './backup/backups.js'
import { Discovery } from './discovery/discovery.js'
import type { ServiceDirectory } from './discovery/directory.js'
import type { DiscoveryReads } from './discovery/reads.js'
import { certificateHosts, publicHost } from './config.js'
import { ServerError } from './errors.js'
import { secured } from './http/app.js'
import { createFaces } from './http/faces.js'
import type { OpenRequests } from './http/open-requests.js'
import { OperatorGate } from './http/operators.js'
import type { Service } from './http/service.js'
import type { Issuers } from './issuers.js'
import { listening } from './listening.js'
import type { LastHeard } from './inventory/last-heard.js'
import { Inventory } from './inventory/inventory.js'
import { createLockId } from './quarantine.js'
import { People } from './people.js'
import type { PolicyInForce } from './policy-in-force.js'
import type { OperatorRefusals } from './refusals.js'
import { tlsOf, type Upkeep } from './upkeep.js'
import type { OpenBroker } from './wire-broker.js'
import type { OpenLog } from './wire-log.js'
import type { Wiring } from './wiring.js'

export interface ApiParts extends OpenLog, Pick<OpenBroker, 'broker'> {
  readonly store: Store
  readonly retention: Retention
  readonly registry: Registry
  readonly ca: CertificateAuthority
  readonly issuers: Issuers
  readonly policy: PolicyInForce
  readonly enrollment: Enrollment
  readonly approvals: Approvals
  readonly attesting: Attesting
  readonly upkeep: Upkeep
  readonly refusals: OperatorRefusals
  readonly auditReads: AuditReads
  readonly directory: ServiceDirectory
  readonly discoveryReads: DiscoveryReads
  readonly heard: LastHeard
  readonly requests: OpenRequests
  readonly status: () => StatusView
  /** To be called when the log's key has changed. */
  readonly handOutVerifierKey: () => Promise<void>
}

/** An API that listens. */
export interface OpenApi {
  readonly port: number
  readonly joinUri: (profile: ProfileName) => string
}

/** Opens what is served over HTTPS: joining, for strangers, and all that operators do. */
export async function openApi(wiring: Wiring, parts: ApiParts): Promise<OpenApi> {
  const { config, closing } = wiring
  const { requests, upkeep, ca } = parts
  const stopping = new AbortController()
  const place = () => ({ host: publicHost(config), port, pins: [ca.root.spkiHash] })
  const joinUri = (profile: ProfileName) => encodeJoinUri({ ...place(), profile })
  const service = serviceOf(wiring, parts, { place, joinUri, stopping: stopping.signal })
  const faces = await createFaces(service, { version: config.version, tls: tlsOf(upkeep.server), log: config.log })
  upkeep.onServerRenewed((credential) => faces.server.setSecureContext(secured(tlsOf(credential))))
  closing.add(async () => {
    stopping.abort(new ServerError('NOT_READY', 'the service stops'))
    await requests.settled()
  })
  const { host, httpsPort } = config
  await listening('HTTPS', host, httpsPort, () => faces.listen({ host, port: httpsPort }))
  const port = portOf(faces.server.address())
  return { port, joinUri }
}

interface Surrounded {
  /** Where people and devices find the service, and by which root key they know it. */
  readonly place: () => Omit<JoinUri, 'profile'>
  readonly joinUri: (profile: ProfileName) => string
  /** Aborted when the service stops. */
  readonly stopping: AbortSignal
}

function serviceOf({ config, now, elapsed, inData }: Wiring, parts: ApiParts, surrounded: Surrounded): Service {
  const { place, joinUri, stopping } = surrounded
  const { audit, checkpointKeys, search, broker, registry, issuers, refusals } = parts
  const { policy, enrollment, approvals, attesting, auditReads, requests, status } = parts
  const backups = new Backups({
    ...{ dataFolder: config.dataFolder, store: parts.store, audit, retention: parts.retention, now },
    identity: () => ({ version: config.version, trustDomain: config.trustDomain, rootSpki: parts.ca.root.spkiHash }),
    epoch: () => registry.locks.epoch,
  })
  return {
    registry,
    policy,
    enrollment,
    approvals,
    attesting,
    audit,
    auditReads,
    requests,
    operators: new OperatorGate({
      identifyOperator: (der) => issuers.identifyOperator(der),
      admitOperator: (fingerprint) => registry.admitOperator(fingerprint),
      rightsOf: (operator) => policy.rightsOf(operator),
      hosts: certificateHosts(config),
      labelsOf: (device) => registry.device(device)?.labels,
      refusals,
    }),
    people: new People({
      ...{ ca: parts.ca, registry, place, now, terms: config.operatorTerms },
      rightsOf: (operator) => policy.rightsOf(operator),
      ensureAdmin: () => parts.upkeep.ensureOperatorCredential(),
    }),
    rootPem: () => parts.ca.root.pem,
    authorities: () => [...parts.ca.intermediates, parts.ca.root].map(({ der }) => der),
    inventory: new Inventory({
      ...{ registry, now, elapsed },
      isOnline: (device) => broker.isOnline(device),
      heardAt: (device) => parts.heard.of(device),
    }),
    discovery: new Discovery({
      ...{ elapsed, directory: parts.directory, reads: parts.discoveryReads },
      identify: (der) => issuers.identifyDevice(der),
      admit: (holder, address) => registry.admit(holder, address),
      rightsOf: (device, from) => policy.effectiveFor(device, from),
      isOnline: (device) => broker.isOnline(device),
    }),
    sessions: () => broker.sessions(),
    kick: (clientId, how) => broker.kick(clientId, how),
    createLockId,
    searchAudit: ({ query, follow }, { operator, leaving }) => {
      if (follow) return untilEnded(audit, encodeLines(audit.follow(query, { signal: leaving })))
      return search.lines(query, { operator, signal: AbortSignal.any([leaving, stopping]) })
    },
    studyPolicy: ({ operator, leaving }) => {
      const signal = AbortSignal.any([leaving, stopping])
      return {
        ...{ now, elapsed, signal },
        inForce: () => policy.view,
        read: (source, file) => policy.read(source, file),
        devices: () => registry.devices().map(({ id }) => id),
        attributesOf: (device) => attributesOf(registry, device),
        liveSessions: () => broker.liveSessions(),
        search: (query) => search.lines(query, { operator, signal }),
      }
    },
    payloads: new PayloadArchive({
      directory: inData('audit'),
      keyFolder: config.payload.keyFolder,
      recordAt: (sequence) => recordAt(audit, sequence),
    }),
    erasePayloadKeys: (keys) => audit.erasePayloadKeys(keys),
    checkpoint: () => ({ checkpoint: audit.checkpoint(), verifierKey: audit.verifierKey }),
    takeBackup: (by) => backups.take(by),
    rotateAuditKey: async (request, by) => {
      const answer = await checkpointKeys.rotate(audit, request, by)
      await parts.handOutVerifierKey()
      return answer
    },
    recordAt: (sequence) => recordAt(audit, sequence),
    proveRecord: (sequence) => audit.prove(sequence),
    status,
    createJoinToken,
    joinUri,
    now,
  }
}

/** Who follows hears of the service's stop by its record, and of a failure, after which there is none, in so many words. */
async function* untilEnded(audit: AuditLog, lines: AsyncIterable<string>): AsyncGenerator<string> {
  yield* lines
  if (!audit.healthy) throw new ServerError('NOT_READY', audit.problem ?? 'the log has ended')
}

async function recordAt(audit: AuditLog, sequence: number): Promise<AuditRecord | undefined> {
  for await (const record of audit.records(sequence)) return record
  return undefined
}

function portOf(address: AddressInfo | string | null): number {
  if (typeof address !== 'object' || address === null) throw new TypeError('a TCP listener has a port')
  return address.port
}
