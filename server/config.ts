import { readFileSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { PayloadOptions, Retain } from '#audit'
import type { EkMaker, EnrollmentProfile, Maker, OidcIssuer } from '#enrollment'
import { type AuditMode, parseTrustDomain, ProtocolError, type TrustDomain } from '#protocol'
import { defaultLease, type OfflineTerms } from '#registry'
import {
  type ConfigFile,
  type LeaseSettings,
  type OfflineSettings,
  type OperatorTerms,
  parseConfigFile,
} from './config-file.js'
import { readAuthorities } from './authorities.js'
import { ServerError } from './errors.js'
import { isErrno } from './files.js'
import { brokerLimits, type MqttLimits } from './mqtt-limits.js'
import { type OidcFile, readOidcSettings } from './oidc-settings.js'
import { type OutsideFile, type OutsideSettings, readOutsideSettings } from './outside-settings.js'
import { type IdevidMakersFile, readIdevidMakers, requireKnownMakers, resolveIdevidMakers } from './idevid-makers.js'
import { profilesOf, type ProfilesFile } from './profiles.js'
import { defaultMakers, readKnownMakers, type TpmMakerId } from './tpm-makers.js'

/** Everything the server goes by, checked once; nothing below reads the environment or a configuration file. */
export interface ServerConfig {
  /** Of this package. */
  readonly version: string
  readonly dataFolder: string
  /** Whether the `touchmark` command finds the folder without being told. */
  readonly isDefaultFolder: boolean
  readonly configFile: string
  readonly trustDomain: TrustDomain
  readonly names: readonly string[]
  readonly host: string
  readonly httpsPort: number
  readonly mqttPort: number
  readonly websocketPort: number
  /** Loopback unless someone decided otherwise: who reaches it needs no credential. */
  readonly healthHost: string
  readonly healthPort: number
  /** Networks whose MQTT connections begin with a PROXY header. */
  readonly proxies: readonly string[]
  /** Web pages that may connect over WebSocket. */
  readonly allowedOrigins: readonly string[]
  /** Of what devices may take and hold, what was chosen. */
  readonly mqttLimits: MqttLimits
  /** How long the broker may go on without hearing of locks, and what it does then. */
  readonly lease: LeaseSettings
  readonly operatorTerms: Required<OperatorTerms>
  readonly auditMode: AuditMode
  /** How much of the log is kept. */
  readonly auditRetain: Retain
  /** What the log says of payloads; nobody should back up its folder of keys. */
  readonly payload: Required<PayloadOptions>
  readonly outside: OutsideSettings
  /** The same as it goes into a new configuration file. */
  readonly outsideFile: OutsideFile
  /** Absolute paths, as they go into a new configuration file. */
  readonly ekRootFiles: readonly string[]
  /** Of the manufacturers whose certificates come with the package, those that are trusted. */
  readonly trustedMakers: readonly TpmMakerId[]
  /** They and what the files hold. */
  readonly ekMakers: readonly EkMaker[]
  /** A key in a file is refused at the join, where a profile does not say otherwise. */
  readonly requireTpm: boolean
  /** How devices come back whose certificates were over. */
  readonly offline: OfflineSettings
  /** The manufacturers of machines that profiles may trust. */
  readonly idevidMakers: readonly Maker[]
  readonly idevidMakerFiles: IdevidMakersFile
  readonly profiles: readonly EnrollmentProfile[]
  /** The same as it goes into a new configuration file. */
  readonly profilesFile: ProfilesFile
  /** Whose CI jobs get simulated devices. */
  readonly oidc: readonly OidcIssuer[]
  /** The same as it goes into a new configuration file. */
  readonly oidcFile: OidcFile
  /** What stdout gets: sentences for a person, or one JSON document a line. */
  readonly output: 'text' | 'json'
  /** JSON log lines on stderr. */
  readonly log: boolean
}

export const defaultDataFolder = 'touchmark-data'

const defaults = {
  dataFolder: defaultDataFolder,
  trustDomain: parseTrustDomain('touchmark.local'),
  host: '0.0.0.0',
  httpsPort: 8443,
  mqttPort: 8883,
  websocketPort: 8884,
  healthHost: '127.0.0.1',
  healthPort: 9464,
  auditMode: 'strict',
  operatorTerms: { certificateHours: 8, certificateMostHours: 72 },
  offline: { mostDays: 30, recover: 'quarantine' },
  payload: { mode: 'commit', keyFolder: 'payload-keys', days: 30, maxMegabytes: 10_240 },
} as const

/** Reading YAML takes time that grows faster than the file. */
const maxConfigBytes = 64 * 1024

interface Flags {
  readonly data?: string
  readonly config?: string
  readonly trustDomain?: TrustDomain
  readonly name: readonly string[]
  readonly host?: string
  readonly httpsPort?: number
  readonly mqttPort?: number
  readonly websocketPort?: number
  readonly healthHost?: string
  readonly healthPort?: number
  readonly ekRoot: readonly string[]
  readonly output: 'text' | 'json'
  readonly log?: true
}

/**
 * Options before the file before the defaults. `version`: of this program.
 * @throws ServerError CONFIG_INVALID; CommanderError for the command line
 */
export function readConfig(argv: readonly string[], env: NodeJS.ProcessEnv, version: string): ServerConfig {
  const flags = parseFlags(argv)
  const dataFolder = resolve(flags.data ?? env['TOUCHMARK_HOME'] ?? defaults.dataFolder)
  const configFile = resolve(flags.config ?? join(dataFolder, 'touchmark.yaml'))
  const file = readConfigFile(configFile, flags.config !== undefined)
  requireSameTrustDomain(flags.trustDomain, file.trustDomain)
  const ekRootFiles = [
    ...(file.ekRoots ?? []).map((path) => resolve(dirname(configFile), path)),
    ...flags.ekRoot.map((path) => resolve(path)),
  ]
  const trustedMakers = [...new Set(file.ekMakers ?? defaultMakers)]
  const { requireTpm = false, profiles: profilesFile = {} } = file
  const idevidMakerFiles = resolveIdevidMakers(file.idevidMakers ?? {}, configFile)
  const offline = { ...defaults.offline, ...file.offline }
  const profiles = profilesOf(profilesFile, { requireTpm, offline: offlineTerms(offline) })
  requireKnownMakers(profiles, idevidMakerFiles)
  const mqttLimits = file.mqtt?.limits ?? {}
  brokerLimits(mqttLimits) // refused here, before anything is opened
  return {
    version,
    dataFolder,
    isDefaultFolder: flags.data === undefined,
    configFile,
    trustDomain: flags.trustDomain ?? file.trustDomain ?? defaults.trustDomain,
    names: [...new Set([...flags.name, ...(file.names ?? [])])],
    host: flags.host ?? file.listen?.host ?? defaults.host,
    httpsPort: flags.httpsPort ?? file.listen?.httpsPort ?? defaults.httpsPort,
    mqttPort: flags.mqttPort ?? file.listen?.mqttPort ?? defaults.mqttPort,
    healthHost: flags.healthHost ?? file.listen?.healthHost ?? defaults.healthHost,
    websocketPort: flags.websocketPort ?? file.listen?.websocketPort ?? defaults.websocketPort,
    healthPort: flags.healthPort ?? file.listen?.healthPort ?? defaults.healthPort,
    auditMode: file.audit?.mode ?? defaults.auditMode,
    payload: payloadOptions(dataFolder, file.audit),
    auditRetain: file.audit?.retain ?? {},
    outside: readOutsideSettings(file.audit ?? {}, dirname(configFile)),
    outsideFile: file.audit ?? {},
    proxies: file.mqtt?.proxies ?? [],
    allowedOrigins: file.mqtt?.allowedOrigins ?? [],
    mqttLimits,
    lease: { ...defaultLease, ...file.mqtt?.lease },
    operatorTerms: { ...defaults.operatorTerms, ...file.operators },
    ekRootFiles,
    trustedMakers,
    offline,
    requireTpm,
    profilesFile,
    oidc: readOidcSettings(file.oidc ?? [], dirname(configFile)),
    oidcFile: file.oidc ?? [],
    idevidMakerFiles,
    idevidMakers: readIdevidMakers(idevidMakerFiles),
    profiles,
    ekMakers: [readAuthorities('ekRoots', ekRootFiles, 'TPMs'), ...readKnownMakers(trustedMakers)],
    output: flags.output,
    log: flags.log ?? false,
  }
}

function offlineTerms({ mostDays, recover }: OfflineSettings): OfflineTerms {
  return { mostMilliseconds: mostDays * 24 * 3600 * 1000, recover }
}

function payloadOptions(dataFolder: string, audit: ConfigFile['audit']): Required<PayloadOptions> {
  const { mode, keyFolder, days, maxMegabytes } = defaults.payload
  return {
    mode: audit?.payload ?? mode,
    keyFolder: resolve(dataFolder, audit?.payloadKeys ?? keyFolder),
    days: audit?.payloadDays ?? days,
    maxBytes: (audit?.payloadMaxMegabytes ?? maxMegabytes) * 1024 ** 2,
  }
}

/** Everything that was ever issued names the trust domain, so it cannot change with an option. */
function requireSameTrustDomain(asked: TrustDomain | undefined, known: TrustDomain | undefined): void {
  if (asked === undefined || known === undefined || asked === known) return
  const problem = `--trust-domain ${asked}: this installation is ${known}, and stays it; another trust domain needs a data folder of its own`
  throw new ServerError('CONFIG_INVALID', problem)
}

/** The name that a device elsewhere is told to use. */
export function publicHost(config: ServerConfig): string {
  const [first] = config.names
  if (first !== undefined) return first
  return /^(127\.|::1$|localhost$)/.test(config.host) ? 'localhost' : hostname()
}

/** Every name and address for which the server's certificates must hold. */
export function certificateHosts(config: ServerConfig): readonly string[] {
  const anyAddress = /^(0\.0\.0\.0|::)$/.test(config.host)
  return [
    ...new Set(['localhost', '127.0.0.1', '::1', hostname(), ...(anyAddress ? [] : [config.host]), ...config.names]),
  ]
}

function parseFlags(argv: readonly string[]): Flags {
  const collect = (value: string, previous: readonly string[]) => [...previous, value]
  return new Command('touchmark up')
    .description('Start the server. The first run makes everything it needs in the data folder and says how to go on.')
    .option('--data <dir>', `data folder (TOUCHMARK_HOME; default ./${defaults.dataFolder})`)
    .option('--config <file>', 'configuration (default: touchmark.yaml in the data folder)')
    .option(
      '--trust-domain <name>',
      `first run only: names the installation (default ${defaults.trustDomain})`,
      trustDomain,
    )
    .addOption(
      new Option('--name <host>', 'host name or address under which devices reach it; can be repeated')
        .argParser(collect)
        .default([], 'the name of this machine'),
    )
    .option('--host <address>', `address to listen on (default ${defaults.host})`)
    .option('--https-port <port>', `enrollment and operators (default ${defaults.httpsPort})`, port)
    .option('--mqtt-port <port>', `MQTT over TLS (default ${defaults.mqttPort})`, port)
    .option('--websocket-port <port>', `MQTT over WebSocket over TLS (default ${defaults.websocketPort})`, port)
    .option('--health-host <address>', `where health and metrics are read (default ${defaults.healthHost})`)
    .option('--health-port <port>', `health and metrics, plain HTTP (default ${defaults.healthPort})`, port)
    .addOption(
      new Option('--ek-root <file>', 'PEM with the CA certificates of TPM manufacturers; can be repeated')
        .argParser(collect)
        .default([], 'none'),
    )
    .addOption(new Option('-o, --output <format>', 'what to write on stdout').choices(['text', 'json']).default('text'))
    .option('--log', 'write a JSON log to stderr')
    .addHelpText('after', '\nA port of 0 takes any free one. With -o json the line with "event":"ready" names them.')
    .addHelpText(
      'after',
      '\nExamples:\n  touchmark up\n  touchmark up --name hub.example --ek-root ./tpm-roots.pem\n' +
        '  touchmark up --data /var/lib/touchmark --trust-domain fleet.example',
    )
    .exitOverride()
    .parse(argv, { from: 'user' })
    .opts<Flags>()
}

function readConfigFile(path: string, mustExist: boolean): ConfigFile {
  try {
    if (statSync(path).size > maxConfigBytes) {
      throw new ServerError(
        'CONFIG_INVALID',
        `${path}: larger than ${maxConfigBytes / 1024} KiB, so not a configuration`,
      )
    }
    return parseConfigFile(readFileSync(path, 'utf8'), path)
  } catch (cause) {
    if (!isErrno(cause)) throw cause
    if (!mustExist && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')) return {}
    throw new ServerError('CONFIG_INVALID', `cannot read ${path} (${cause.code})`, { cause })
  }
}

function port(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new InvalidArgumentError('expected a port from 0 to 65535')
  return Number(text)
}

function trustDomain(text: string): TrustDomain {
  try {
    return parseTrustDomain(text)
  } catch (error) {
    if (error instanceof ProtocolError) throw new InvalidArgumentError(error.message)
    throw error
  }
}
