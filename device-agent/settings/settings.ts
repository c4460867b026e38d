import { readFile, stat } from 'node:fs/promises'
import {
  CodedError,
  decodeJson,
  integer,
  list,
  object,
  optional,
  parsed,
  parseJoinUri,
  parseTopicName,
  record,
  text,
  word,
} from '#protocol'
import { isSystemError } from '../disk.js'
import { AgentError } from '../errors.js'
import { decodeHook } from '../hooks/hook.js'
import { decodeOutput } from '../outputs/output.js'
import type { Surroundings } from '../surroundings.js'
import { requireOnlyOurs } from './only-ours.js'
import { usualSettingsFile } from './usual-file.js'

const maxBytes = 64 * 1024

/** What `agent.json` says. What the command line says goes before it, but for who the device is to become. */
export type Settings = ReturnType<typeof decodeSettings> & {
  /** Where it stands; for whoever has to mend it. */
  readonly file: string
  /** A token in it is no secret. */
  readonly isOpenToOthers?: boolean
}

/** Every field may be absent, and none may be misspelt. */
const decodeSettings = object({
  // first boot
  join: optional(parsed((uri) => (parseJoinUri(uri), uri), 4096)),
  token: optional(text(1024)),
  tokenFile: optional(text(4096)),
  tpm: optional(text(1024)),
  ek: optional(word('ecc-p384', 'ecc-p256', 'rsa-3072', 'rsa-2048')),
  pcrs: optional(list(integer(0, 23), 24)),
  eventLog: optional(text(4096)),
  binding: optional(word('exporter', 'nonce')),
  // and then
  announce: optional(parsed((topic) => (parseTopicName(topic.replaceAll('{id}', 'id')), topic))),
  rotateKey: optional(word('always', 'never')),
  facts: optional(record(text(1024), 24)),
  // after each renewal
  outputs: optional(list(decodeOutput, 16)),
  hooks: optional(list(decodeHook, 16)),
  // for whoever watches
  healthFile: optional(text(4096)),
  metricsFile: optional(text(4096)),
})

/** @throws AgentError SETTINGS_INVALID, SETTINGS_UNSAFE */
export async function readSettings(
  named: string | undefined,
  { environment }: Pick<Surroundings, 'environment'>,
): Promise<Settings> {
  const given = named ?? environment['TOUCHMARK_CONFIG']
  const file = given ?? usualSettingsFile
  try {
    await requireOnlyOurs(file)
    const { size, mode } = await stat(file)
    if (size > maxBytes) throw new AgentError('SETTINGS_INVALID', `${file}: expected at most ${maxBytes} bytes`)
    const said = decodeJson(await readFile(file, 'utf8'), decodeSettings, file)
    return { ...said, file, isOpenToOthers: (mode & 0o044) !== 0 }
  } catch (cause) {
    if (cause instanceof AgentError) throw cause
    if (isSystemError(cause) && cause.code === 'ENOENT' && given === undefined) return { file }
    if (cause instanceof CodedError) throw new AgentError('SETTINGS_INVALID', cause.message, { cause })
    if (isSystemError(cause)) throw new AgentError('SETTINGS_INVALID', `${file}: ${cause.message}`, { cause })
    throw cause
  }
}
