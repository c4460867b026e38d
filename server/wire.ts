import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Retention } from '#audit'
import { CertificateAuthority } from '#ca'
import { Approvals, createJoinToken, Enrollment, VerifierPool } from '#enrollment'
import type { StatusView } from '#protocol'
import { defaultPolicy, policySchema } from '#policy'
import { ourselves, Registry } from '#registry'
import { openLevelStore } from '#store'
import { Attesting } from './attesting.js'
import { AuditReads } from './audit-reads.js'
import { ServiceDirectory } from './discovery/directory.js'
import { DiscoveryReads } from './discovery/reads.js'
import { attributesOf } from './attributes.js'
import { Closing } from './closing.js'
import { certificateHosts, publicHost, type ServerConfig } from './config.js'
import { renderConfigFile } from './config-file.js'
import { EventLogs } from './event-logs.js'
import { makeFolder, readIfThere, writeDurably } from './files.js'
import { countClones } from './follow-registry.js'
import { serveHealth } from './health.js'
import { LastHeard } from './inventory/last-heard.js'
import { formatAddress } from './http/app.js'
import { OpenRequests } from './http/open-requests.js'
import { Issuers } from './issuers.js'
import { listening } from './listening.js'
import { startExpiry } from './lock-expiry.js'
import { requireRestored } from './backup/restoring.js'
import { createMetrics } from './metrics.js'
import { ensureOperatorCredential } from './operator-credential.js'
import { oidcWarnings } from './oidc-settings.js'
import { PcrPolicies } from './pcr-policies/pcr-policies.js'
import { PolicyInForce } from './policy-in-force.js'
import { PolicyThread } from './policy-reader.js'
import { defaultProfile } from './profiles.js'
import { lockOut, quarantine } from './quarantine.js'
import { OperatorRefusals } from './refusals.js'
import { startRunExpiry } from './run-expiry.js'
import { checksOf, statusOf } from './status.js'
import { Upkeep } from './upkeep.js'
import { openApi } from './wire-api.js'
import { openBroker } from './wire-broker.js'
import { openLog } from './wire-log.js'
import type { Surroundings, Wiring } from './wiring.js'

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

const firstTokenLifeMilliseconds = 3_600_000

/** Opens everything or nothing. @throws CodedError of the room that could not be opened */
export async function openServer(config: ServerConfig, surroundings: Surroundings): Promise<OpenServer> {
  const closing = new Closing()
  try {
    return await wire({ ...surroundings, config, closing, inData: (...names) => join(config.dataFolder, ...names) })
  } catch (error) {
    await closing.run().catch(() => undefined) // the first error is the one to tell
    throw error
  }
}

/** Where rooms meet; with the log, the broker and the API, which are wired in files of their own, nowhere else. */
async function wire(wiring: Wiring): Promise<OpenServer> {
  const { config, now, elapsed, warn, closing, inData } = wiring
  const startedAt = now()
  await makeFolder(config.dataFolder)
  await requireRestored(config.dataFolder)
  const store = await openLevelStore(inData('store')) // locks the folder, so it comes before anything else is touched
  closing.add(() => store.close())
  const isNew = (await readIfThere(inData('operator', 'operator.crt'))) === undefined

  const requests = new OpenRequests()
  const log = await openLog(wiring, requests)
  const { audit, outside } = log
  const handOutVerifierKey = () => writeDurably(inData('operator', 'audit.vkey'), `${audit.verifierKey}\n`)

  const { trustDomain } = config
  const registry = await Registry.open({ store, audit, replay: (from) => audit.records(from), now, elapsed })
  const firstRun = isNew && registry.restores === 0
  const ca = await CertificateAuthority.open({ directory: inData('ca'), trustDomain, registry, audit, now })
  const issuers = new Issuers(ca, trustDomain, now)
  const admitOperator = registry.admitOperator.bind(registry)
  const upkeep = await Upkeep.open({
    hosts: certificateHosts(config),
    ensureOperatorCredential: () => ensureOperatorCredential({ folder: inData('operator'), ca, admitOperator, now }),
    ...{ ca, warn, now },
  })
  await handOutVerifierKey()

  const reader = new PolicyThread()
  closing.add(() => reader.close())
  const directory = new ServiceDirectory(registry)
  const policy = await PolicyInForce.open(
    {
      ...{ store, audit, now, reader },
      attributesOf: (device) => attributesOf(registry, device),
      serviceOf: (device, service) => directory.find(device, service),
    },
    await firstPolicy(inData('policy.yaml'), inData('policy.schema.json')),
    ourselves,
  )
  registry.locks.judgeBy({ rolesOf: (device) => policy.rolesOf(device), hasQuarantine: () => policy.hasQuarantine })
  const release = (minimumIndex: number) => registry.readLogOnlyFrom(minimumIndex)
  const retention = new Retention({ log: audit, retain: config.auditRetain, release, now, warn })
  const refusals = new OperatorRefusals(audit)
  const auditReads = new AuditReads(audit)
  const discoveryReads = new DiscoveryReads(audit)
  closing.add(async () => {
    refusals.flush()
    auditReads.flush()
    discoveryReads.flush()
    audit.append({ event: 'server.stop' })
    await registry.settled()
  })

  const heard = await LastHeard.open({ store, now, warn })
  closing.add(heard.start()) // before the broker, so that the last connections are kept when it has ended
  const rooms = { store, audit, registry, ca, issuers, policy, upkeep, heard, directory }
  const { broker, lease, ports, addresses } = await openBroker(wiring, rooms)
  // After the broker: what a lock takes back makes room for other messages, and those go by the new policy.
  policy.onChange(() => void registry.locks.policyChanged())
  const policies = await PcrPolicies.open({ store, audit, now })
  const eventLogs = new EventLogs(store)
  const attesting = new Attesting({ makers: config.ekMakers, policies, eventLogs, registry, now })
  const approvals = new Approvals({ registry, audit, now })
  const enrollment = new Enrollment({
    ...{ trustDomain, ca, registry, audit, approvals, now },
    profiles: config.profiles,
    ekMakers: config.ekMakers,
    idevidMakers: config.idevidMakers,
    openVerifier: (makers) => new VerifierPool({ makers, warn }),
    oidc: { issuers: config.oidc, warn },
    cookieKey: randomBytes(32),
    pcrPolicyFor: (profile) => policies.holdingFor(profile),
    keepEventLog: (device, eventLog) => eventLogs.keep(device, eventLog),
    quarantine: (device, reason) => quarantine(registry, device, reason, ourselves),
    lockTpm: (ek, device, reason) => lockOut(registry, { ek }, { device, reason }, ourselves),
    broker: addresses,
  })
  closing.add(() => enrollment.close())
  for (const warning of oidcWarnings(config.oidc)) warn(warning)

  const parts = { ...rooms, broker, retention, outside, startedAt, now }
  const status = () => statusOf({ config, ...parts })
  const api = await openApi(wiring, {
    ...rooms,
    ...log,
    ...{ broker, enrollment, approvals, attesting, refusals, requests, status, handOutVerifierKey },
    ...{ auditReads, discoveryReads, retention },
  })

  const metrics = createMetrics({
    startedAt,
    now,
    totals: status,
    clones: countClones(registry),
    audit,
    retention,
    outside,
    broker,
  })
  closing.add(() => metrics.close())
  const { healthHost, healthPort } = config
  const health = await listening('health', healthHost, healthPort, () =>
    serveHealth({ host: healthHost, port: healthPort }, checksOf({ ...parts, lease }), metrics),
  )
  closing.add(() => health.close())
  closing.add(upkeep.start())
  closing.add(startExpiry(registry, warn))
  closing.add(startRunExpiry({ registry, broker, warn }))
  closing.add(retention.start())
  outside.start(config.outside.everyMilliseconds)

  await writeDurably(inData('operator', 'server.url'), `https://localhost:${api.port}\n`)
  if ((await readIfThere(inData('touchmark.yaml'))) === undefined) {
    await writeDurably(inData('touchmark.yaml'), renderConfigFile({ ...config, ekRoots: config.ekRootFiles }))
  }
  return {
    firstRun,
    ...(firstRun && { firstToken: await createFirstToken(registry, now) }),
    ports: { https: api.port, ...ports, health: health.port },
    addresses: {
      https: `https://${publicHost(config)}:${api.port}`,
      ...addresses,
      health: `http://${formatAddress(healthHost, health.port)}`,
    },
    joinUri: api.joinUri(defaultProfile),
    policyVersion: policy.view.version,
    status,
    renewDue: () => upkeep.renewDue(),
    close: () => closing.run(),
  }
}

/** The policy file of a first run; once a policy is in force the store's copy counts. Editors find the schema beside it. */
async function firstPolicy(path: string, schemaPath: string): Promise<string> {
  const schema = `${JSON.stringify(policySchema, undefined, 2)}\n`
  if ((await readIfThere(schemaPath))?.toString() !== schema) await writeDurably(schemaPath, schema)
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
