import { relative } from 'node:path'
import { type Document, isMap, isScalar, LineCounter, parseDocument } from 'yaml'
import type { PayloadOptions, Retain } from '#audit'
import {
  type AuditMode,
  boolean,
  integer,
  list,
  object,
  optional,
  parseByteSize,
  parsed,
  parseTrustDomain,
  ProtocolError,
  text,
  type TrustDomain,
  word,
} from '#protocol'
import { ServerError } from './errors.js'
import { decodeMqttLimits, type MqttLimits, renderMqttLimits } from './mqtt-limits.js'
import { parseNetwork, parseWebOrigin } from './network-names.js'
import { decodeOidc, type OidcFile } from './oidc-settings.js'
import { decodePublish, decodeWitnesses, type OutsideFile } from './outside-settings.js'
import { decodeIdevidMakers, type IdevidMakersFile } from './idevid-makers.js'
import { decodeProfiles, type ProfilesFile } from './profiles.js'
import { type TpmMakerId, tpmMakerIds } from './tpm-makers.js'

/** `touchmark.yaml`; what it leaves out has the default of config.ts. */
export type ConfigFile = ReturnType<typeof decodeConfigFile>

const port = integer(0, 65_535)

/** How long certificates of operators live, in hours. */
const decodeOperatorTerms = object({
  certificateHours: optional(integer(1, 720)),
  certificateMostHours: optional(integer(1, 720)),
})
export type OperatorTerms = ReturnType<typeof decodeOperatorTerms>

/** How long the broker may go on without hearing of locks, and what it does then. */
const decodeLease = object({ mode: optional(word('strict', 'bestEffort')), seconds: optional(integer(2, 3600)) })
export type LeaseSettings = Required<ReturnType<typeof decodeLease>>

/** How devices come back that were away for longer than their certificates lasted. */
const decodeOffline = object({
  mostDays: optional(integer(0, 365)),
  recover: optional(word('quarantine', 'trust')),
})
export type OfflineSettings = Required<ReturnType<typeof decodeOffline>>

const decodeConfigFile = object({
  trustDomain: optional(parsed(parseTrustDomain)),
  names: optional(list(text(253), 32)),
  listen: optional(
    object({
      host: optional(text(253)),
      httpsPort: optional(port),
      mqttPort: optional(port),
      websocketPort: optional(port),
      healthHost: optional(text(253)),
      healthPort: optional(port),
    }),
  ),
  audit: optional(
    object({
      mode: optional(word('strict', 'relaxed', 'bestEffort')),
      payload: optional(word('none', 'commit', 'store')),
      payloadKeys: optional(text(4096)),
      payloadDays: optional(integer(1, 36_500)),
      payloadMaxMegabytes: optional(integer(1, 1024 ** 3)),
      retain: optional(object({ days: optional(integer(1, 36_500)), bytes: optional(parsed(parseByteSize, 32)) })),
      checkpointEverySeconds: optional(integer(1, 86_400)),
      witnesses: optional(decodeWitnesses),
      publish: optional(decodePublish),
    }),
  ),
  mqtt: optional(
    object({
      proxies: optional(list(parsed(parseNetwork), 64)),
      allowedOrigins: optional(list(parsed(parseWebOrigin), 64)),
      limits: optional(decodeMqttLimits),
      lease: optional(decodeLease),
    }),
  ),
  operators: optional(decodeOperatorTerms),
  ekMakers: optional(list(word(...tpmMakerIds), tpmMakerIds.length)),
  ekRoots: optional(list(text(4096), 256)),
  requireTpm: optional(boolean),
  offline: optional(decodeOffline),
  idevidMakers: optional(decodeIdevidMakers),
  profiles: optional(decodeProfiles),
  oidc: optional(decodeOidc),
})

/** @throws ServerError CONFIG_INVALID with file, line and column */
export function parseConfigFile(source: string, file: string): ConfigFile {
  const lines = new LineCounter()
  const document = parseYaml(source, file, lines)
  const at = (offset: number) => `${file}:${lines.linePos(offset).line}:${lines.linePos(offset).col}`
  const [mistake] = document.errors
  if (mistake) throw new ServerError('CONFIG_INVALID', `${at(mistake.pos[0])}: ${mistake.message.split('\n')[0] ?? ''}`)
  try {
    return decodeConfigFile(document.toJS({ maxAliasCount: 0 }) ?? {}, '')
  } catch (cause) {
    if (!(cause instanceof ProtocolError))
      throw new ServerError('CONFIG_INVALID', `${file}: ${String(cause)}`, { cause })
    const [path = ''] = cause.message.split(':', 1) // The decoders begin with the path of what is wrong.
    throw new ServerError('CONFIG_INVALID', `${at(offsetOf(document.contents, path))}: ${cause.message}`, { cause })
  }
}

/** The parser calls itself for every level, and a file of brackets alone has more of them than the stack. */
function parseYaml(source: string, file: string, lineCounter: LineCounter): Document.Parsed {
  try {
    return parseDocument(source, { lineCounter, uniqueKeys: true })
  } catch (cause) {
    throw new ServerError('CONFIG_INVALID', `${file}: cannot be read as YAML: ${String(cause)}`, { cause })
  }
}

/** Where the value (or, of an unknown field, the key) of `listen.httpsPort` or `names[0]` stands. */
function offsetOf(contents: unknown, path: string): number {
  let offset = 0
  let node = contents
  for (const step of path.split(/[.[\]]+/).filter((part) => part !== '')) {
    if (!isMap(node)) break
    const pair = node.items.find(({ key }) => isScalar(key) && key.value === step)
    if (pair === undefined) break
    if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset
    node = pair.value
  }
  return offset
}

/** The file of a first run: every setting with what it does, and what was chosen on the command line filled in. */
export function renderConfigFile(chosen: {
  readonly trustDomain: TrustDomain
  readonly names: readonly string[]
  readonly host: string
  readonly httpsPort: number
  readonly mqttPort: number
  readonly websocketPort: number
  readonly healthHost: string
  readonly healthPort: number
  readonly proxies: readonly string[]
  readonly allowedOrigins: readonly string[]
  readonly mqttLimits: MqttLimits
  readonly lease: LeaseSettings
  readonly auditMode: AuditMode
  readonly auditRetain: Retain
  readonly dataFolder: string
  readonly payload: Required<PayloadOptions>
  readonly outsideFile: OutsideFile
  readonly operatorTerms: Required<OperatorTerms>
  readonly trustedMakers: readonly TpmMakerId[]
  readonly ekRoots: readonly string[]
  readonly requireTpm: boolean
  readonly offline: OfflineSettings
  readonly idevidMakerFiles: IdevidMakersFile
  readonly profilesFile: ProfilesFile
  readonly oidcFile: OidcFile
}): string {
  return `# Configuration of this Touchmark server. Options of "touchmark up" come before it; changes act at the next start.

# Names the installation in every certificate (spiffe://TRUST-DOMAIN/device/ID). It cannot change later.
trustDomain: ${chosen.trustDomain}

# Host names and addresses under which devices reach this server; the first one stands in join URIs.
# localhost and this machine's own name always work.
names: ${JSON.stringify(chosen.names)}

listen:
  host: ${JSON.stringify(chosen.host)}
  httpsPort: ${chosen.httpsPort} # enrollment and operators
  mqttPort: ${chosen.mqttPort} # MQTT over TLS
  websocketPort: ${chosen.websocketPort} # MQTT over WebSocket over TLS
  healthHost: ${JSON.stringify(chosen.healthHost)}
  healthPort: ${chosen.healthPort} # health and metrics, plain HTTP without a password: for this machine, or a network you trust

mqtt:
  # Load balancers that pass TLS on as it is and name the client in a PROXY header (version 2), such as 10.0.0.0/24.
  # From these every MQTT connection must begin with one; from elsewhere none is believed.
  proxies: ${JSON.stringify(chosen.proxies)}
  # Web pages that may connect over WebSocket, such as https://console.example. Who is no browser needs nothing here.
  allowedOrigins: ${JSON.stringify(chosen.allowedOrigins)}
  # How much a device may take, hold and wait for: {maxPacketBytes: 1MiB, maxConnections: 50000}. All of them, with their
  # defaults, stand in the operator's guide, "Limits".
  limits: ${renderMqttLimits(chosen.mqttLimits)}
  # How long the broker may go on without hearing of locks. strict: then it reads and delivers nothing until it does, so
  # that whoever was locked or revoked meanwhile has nothing of it. bestEffort: it goes on.
  lease: {mode: ${chosen.lease.mode}, seconds: ${chosen.lease.seconds}}

# strict answers a device when the record of what it did is on disk. relaxed answers when the record is queued: faster,
# but a crash or power cut can take away the records of the last tenth of a second of answers. bestEffort answers also when
# nothing can be recorded, as on a full disk: what devices do then is not in the log, which only says how much is missing.
audit:
  mode: ${chosen.auditMode}
  # commit puts a commitment to each message's payload into the log, by which you can later prove what was said. store
  # also keeps the payloads themselves, encrypted and apart from the log. none does neither.
  payload: ${chosen.payload.mode}
  # Folder for the keys behind both, a file a day; relative to the data folder. Leave it out of every backup: what is
  # erased must be gone.
  payloadKeys: ${JSON.stringify(relative(chosen.dataFolder, chosen.payload.keyFolder))}
  payloadDays: ${chosen.payload.days} # with store: days that payloads are kept, today included
  payloadMaxMegabytes: ${chosen.payload.maxBytes / 1024 ** 2} # with store: what they may take; beyond it the oldest go early
  # The oldest records go when they are older than so many days, or when all take more room: {days: 400, bytes: 50GB}.
  # Their hashes stay, so that the log can still be verified. {} keeps everything.
  retain: ${renderRetain(chosen.auditRetain)}
  # Who can take over this machine can rewrite its log, but for what somebody outside has a checkpoint of. Witnesses
  # ("touchmark witness", or any of https://c2sp.org/tlog-witness) look that nothing is taken back, and sign:
  # - {url: https://witness.example, vkey: witness.example/w+01234567+B…}
  witnesses: ${JSON.stringify(chosen.outsideFile.witnesses ?? [])}
  # Files on disks of others, and addresses, that get each checkpoint:
  # - {file: /mnt/elsewhere/checkpoint, history: /mnt/elsewhere/checkpoints.jsonl}
  # - {url: https://store.example/checkpoint, method: PUT}
  publish: ${JSON.stringify(chosen.outsideFile.publish ?? [])}
  checkpointEverySeconds: ${chosen.outsideFile.checkpointEverySeconds ?? 60}

operators:
  certificateHours: ${chosen.operatorTerms.certificateHours} # how long their certificates live; the command renews them while it is used
  certificateMostHours: ${chosen.operatorTerms.certificateMostHours} # the most that an invitation may ask for

# Manufacturers whose TPMs count as genuine; their CA certificates come with the package. Genuine is not yet admitted: a
# TPM joins when it is registered or brings a token. GOOG and BABA are virtual TPMs of clouds, trusted only by name here.
ekMakers: ${JSON.stringify(chosen.trustedMakers)}
# PEM files with the CA certificates of others, relative to this file. Self-signed ones are trusted; the others only help
# to find the way to one of those. A TPM without any certificate can join when it is registered, as tier tpm-unvouched.
ekRoots: ${JSON.stringify(chosen.ekRoots)}
# true: whoever joins proves a TPM, and a token alone lets nobody in. Devices that have joined go on as they are.
requireTpm: ${chosen.requireTpm}
# A device that was away for longer than its certificate lasted still renews it, for so many days after its end. With a key
# in a TPM it goes on as before. With one in a file, of which there may be a copy, it waits in quarantine until an operator
# removes the lock; recover: trust lets it go on too.
offline: {mostDays: ${chosen.offline.mostDays}, recover: ${chosen.offline.recover}}
# Makers of machines that carry a certificate of their maker (IDevID, IEEE 802.1AR), with PEM files as for ekRoots. A profile
# names whom it trusts:
#   {ACME: [acme.pem]}, and below default: {idevidMakers: [ACME]}
idevidMakers: ${JSON.stringify(chosen.idevidMakerFiles)}
# Rules for enrollment by profile, which is the last part of a join URI; "default" is always there. For example
#   edge: {requireTpm: true, unknown: approve, onTpmReset: accept}
# unknown: approve has genuine hardware that nobody has registered wait for "touchmark approvals". onTpmReset: accept lets a
# known device go on after its TPM was cleared; approve, the default, has it wait too. virtualTpm: true locks it at once.
profiles: ${JSON.stringify(chosen.profilesFile)}

# CI systems whose jobs get simulated devices for an hour, by their OIDC tokens, and which jobs:
# - {name: github, issuer: "https://token.actions.githubusercontent.com", run: [run_id, run_attempt],
#    allow: [{match: {repository_id: "123", ref: refs/heads/main}, labels: {site: ci}, devices: 100, minutes: 30}]}
oidc: ${JSON.stringify(chosen.oidcFile)}
`
}

function renderRetain({ days, bytes }: Retain): string {
  return JSON.stringify({ days, bytes: bytes === undefined ? undefined : `${bytes}B` })
}
