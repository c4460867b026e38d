import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type OidcIssuer, oidcAlgorithms } from '#enrollment'
import {
  type Decoder,
  integer,
  isName,
  list,
  object,
  optional,
  parsed,
  parseProfileName,
  ProtocolError,
  record,
  text,
  word,
} from '#protocol'
import { ServerError } from './errors.js'

/** A claim's value; YAML reads an id of digits as a number, where nobody has put it into quotes. */
const claimValue: Decoder<string> = (value, path) => {
  return typeof value === 'number' ? String(integer(0, Number.MAX_SAFE_INTEGER)(value, path)) : text(1024)(value, path)
}
const claims = record(claimValue, 16)

const decodeRule = object({
  match: claims,
  profiles: optional(list(parsed(parseProfileName), 16)),
  labels: optional(record(parsed(parseLabel), 32, parsed(parseLabel))),
  devices: optional(integer(1, 10_000)),
  minutes: optional(integer(5, 60)),
})

/** `oidc` of the configuration file. */
export const decodeOidc = list(
  object({
    name: parsed(parseIssuerName),
    issuer: parsed(parseHttpsUrl),
    jwksUri: optional(parsed(parseHttpsUrl)),
    algorithms: optional(list(word(...oidcAlgorithms), oidcAlgorithms.length)),
    caFile: optional(text(4096)),
    run: optional(list(text(64), 4)),
    match: optional(claims),
    allow: list(decodeRule, 64),
  }),
  16,
)
export type OidcFile = ReturnType<typeof decodeOidc>

const defaults = {
  algorithms: ['RS256', 'ES256'],
  profile: parseProfileName('default'),
  devices: 1000,
  minutes: 60,
} as const

/** Paths are relative to the folder of the configuration file. @throws ServerError CONFIG_INVALID */
export function readOidcSettings(file: OidcFile, folder: string): readonly OidcIssuer[] {
  const issuers = file.map(({ name, issuer: url, jwksUri, algorithms, caFile, run = [], match = {}, allow }) => ({
    ...{ name, url, run, match },
    algorithms: algorithms ?? defaults.algorithms,
    ...(jwksUri !== undefined && { keysUrl: jwksUri }),
    ...(caFile !== undefined && { ca: readCa(name, resolve(folder, caFile)) }),
    allow: allow.map(({ match, profiles, labels = {}, devices, minutes }) => ({
      ...{ match, labels },
      profiles: profiles ?? [defaults.profile],
      devices: devices ?? defaults.devices,
      lifetimeSeconds: (minutes ?? defaults.minutes) * 60,
    })),
  }))
  for (const each of ['name', 'url'] as const) {
    const values = issuers.map((issuer) => issuer[each])
    if (new Set(values).size < values.length) throw invalid(`two issuers have the same ${each}`)
  }
  for (const issuer of issuers) requireNarrow(issuer)
  return issuers
}

/**
 * Rules that go by names alone: a project that is renamed or removed leaves its name to others, and their jobs would be
 * let in. Numbers are never given again.
 */
export function oidcWarnings(issuers: readonly OidcIssuer[]): readonly string[] {
  return issuers.flatMap(({ name, match, allow }) =>
    allow.flatMap((rule, at) => {
      const isFixed = Object.keys({ ...match, ...rule.match }).some((claim) => claim.endsWith('_id'))
      if (isFixed) return []
      return `oidc ${name}, rule ${at + 1}: it goes by names that others can get; add an id, such as repository_owner_id or project_id`
    }),
  )
}

/** Most issuers sign for everybody's jobs. */
function requireNarrow({ name, match, allow }: OidcIssuer): void {
  const open = allow.findIndex((rule) => Object.keys({ ...match, ...rule.match }).length === 0)
  if (open >= 0)
    throw invalid(`${name}, rule ${open + 1} would let in every job of the issuer: match at least one claim`)
}

function readCa(name: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new ServerError('CONFIG_INVALID', `oidc: ${name}: cannot read ${file}`, { cause })
  }
}

/** Stands in the ids of devices, before a dash. */
function parseIssuerName(source: string): string {
  if (/^[a-z0-9]{1,16}$/.test(source)) return source
  throw new ProtocolError('INVALID_MESSAGE', 'expected 1 to 16 lowercase letters and digits, such as github')
}

/** What is fetched from it decides who comes in. */
function parseHttpsUrl(source: string): string {
  const url = URL.canParse(source) ? new URL(source) : undefined
  const isPlain = url?.protocol === 'https:' && url.hash === '' && url.username === '' && url.password === ''
  if (isPlain) return source
  throw new ProtocolError('INVALID_MESSAGE', 'expected an address such as https://issuer.example')
}

function parseLabel(source: string): string {
  if (isName(source)) return source
  throw new ProtocolError('INVALID_MESSAGE', 'a label’s name and value are 1 to 64 of A-Z a-z 0-9 . _ -')
}

function invalid(problem: string): ServerError {
  return new ServerError('CONFIG_INVALID', `oidc: ${problem}`)
}
