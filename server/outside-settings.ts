import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseWitnessKey, type PublishSettings, type WitnessSettings } from '#audit'
import { CodedError, list, object, optional, parsed, ProtocolError, text, word } from '#protocol'
import { ServerError } from './errors.js'

/** Who gets the log's checkpoints, with every file read and every path made absolute. */
export interface OutsideSettings {
  readonly everyMilliseconds: number
  readonly witnesses: readonly WitnessSettings[]
  readonly publish: readonly PublishSettings[]
}

/** `audit.witnesses` of the configuration file. */
export const decodeWitnesses = list(
  object({
    url: parsed(parseHttpUrl),
    monitoring: optional(parsed(parseHttpUrl)),
    vkey: parsed(parseVkey),
    ca: optional(text(4096)),
  }),
  16,
)

/** `audit.publish` of the configuration file. */
export const decodePublish = list(
  object({
    file: optional(text(4096)),
    history: optional(text(4096)),
    url: optional(parsed(parseHttpUrl, 4096)),
    method: optional(word('PUT', 'POST')),
    ca: optional(text(4096)),
  }),
  16,
)

export interface OutsideFile {
  readonly checkpointEverySeconds?: number | undefined
  readonly witnesses?: ReturnType<typeof decodeWitnesses> | undefined
  readonly publish?: ReturnType<typeof decodePublish> | undefined
}

const defaultEverySeconds = 60

/** Paths are relative to the folder of the configuration file. @throws ServerError CONFIG_INVALID */
export function readOutsideSettings(file: OutsideFile, folder: string): OutsideSettings {
  const { checkpointEverySeconds = defaultEverySeconds, witnesses = [], publish = [] } = file
  const ids = witnesses.map(({ vkey }) => parseWitnessKey(vkey).keyId.toString('hex'))
  if (new Set(ids).size < ids.length)
    throw new ServerError('CONFIG_INVALID', 'audit.witnesses: one of them stands there twice')
  const at = (path: string) => resolve(folder, path)
  return {
    everyMilliseconds: checkpointEverySeconds * 1000,
    witnesses: witnesses.map(({ ca, ...witness }) => ({ ...witness, ca: readCa(ca, at) })),
    publish: publish.map(({ file, history, url, method = 'PUT', ca }): PublishSettings => {
      if (file !== undefined && url === undefined)
        return { file: at(file), history: history === undefined ? undefined : at(history) }
      if (url !== undefined && file === undefined && history === undefined) return { url, method, ca: readCa(ca, at) }
      throw new ServerError(
        'CONFIG_INVALID',
        'audit.publish: expected a file (with a history or without) or a url in each entry',
      )
    }),
  }
}

function readCa(file: string | undefined, at: (path: string) => string): string | undefined {
  if (file === undefined) return undefined
  try {
    return readFileSync(at(file), 'utf8')
  } catch (cause) {
    throw new ServerError('CONFIG_INVALID', `audit: cannot read ${at(file)}`, { cause })
  }
}

function parseHttpUrl(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed && ['http:', 'https:'].includes(parsed.protocol) && parsed.hash === '') return parsed
  throw new ProtocolError('INVALID_MESSAGE', 'expected an address such as https://witness.example')
}

function parseVkey(vkey: string): string {
  try {
    parseWitnessKey(vkey)
    return vkey
  } catch (cause) {
    if (!(cause instanceof CodedError)) throw cause
    throw new ProtocolError('INVALID_MESSAGE', cause.message, { cause })
  }
}
