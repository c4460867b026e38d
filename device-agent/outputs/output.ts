import { boolean, type Decoder, list, object, optional, parsed, ProtocolError, text, word } from '#protocol'

/** A copy of the identity, or a text that names one, in the form that another program reads. */
export type Output =
  | ({ readonly kind: 'pem'; readonly folder: string; readonly withoutKey: boolean } & Ownership)
  | ({ readonly kind: 'pkcs12'; readonly file: string; readonly passwordFile: string } & Ownership)
  | { readonly kind: 'mosquitto'; readonly file: string; readonly pem: string; readonly topics?: readonly string[] }
  | { readonly kind: 'paho'; readonly file: string; readonly pem: string }

/** Of what is secret; certificates anybody may read. */
export interface Ownership {
  /** A user's name or number. Default: the agent's own. */
  readonly owner?: string
  /** Default: that of the owner. */
  readonly group?: string
  /** Default: 0600 */
  readonly mode?: number
}

export const decodeOutput: Decoder<Output> = (value, path) => {
  const fields = anyOutput(value, path)
  const { kind, folder, file, passwordFile, pem, topics, withoutKey = false } = fields
  const ownership = owned(fields)
  const only = (...names: readonly string[]): boolean =>
    Object.keys(fields).every((name) => name === 'kind' || names.includes(name))
  const owner = ['owner', 'group', 'mode'] as const
  if (kind === 'pem' && folder !== undefined && only('folder', 'withoutKey', ...owner)) {
    return { kind, folder, withoutKey, ...ownership }
  }
  if (kind === 'pkcs12' && file !== undefined && passwordFile !== undefined && only('file', 'passwordFile', ...owner)) {
    return { kind, file, passwordFile, ...ownership }
  }
  if (kind === 'mosquitto' && file !== undefined && pem !== undefined && only('file', 'pem', 'topics')) {
    return { kind, file, pem, ...(topics !== undefined && { topics }) }
  }
  if (kind === 'paho' && file !== undefined && pem !== undefined && only('file', 'pem')) return { kind, file, pem }
  throw new ProtocolError('INVALID_MESSAGE', `${path}: expected ${shapes[kind]}`)
}

const shapes = {
  pem: '"folder", and "withoutKey", "owner", "group", "mode" if need be',
  pkcs12: '"file" and "passwordFile", and "owner", "group", "mode" if need be',
  mosquitto: '"file" and "pem", the folder of such an output, and "topics" if need be',
  paho: '"file" and "pem", the folder of such an output',
} as const

/** It is written into other programs' settings, where a line break would begin another one. */
const line = parsed((said) => {
  if (/[\p{C}"\\]/u.test(said)) {
    throw new ProtocolError('INVALID_MESSAGE', 'expected no control characters, quotation marks or backslashes')
  }
  return said
}, 1024)

/** From the root on: what is meant must not depend on where the agent was started. */
const path = parsed((said) => {
  if (!said.startsWith('/')) throw new ProtocolError('INVALID_MESSAGE', 'expected a path that begins with /')
  return line(said, 'path')
}, 1024)

const anyOutput = object({
  kind: word('pem', 'pkcs12', 'mosquitto', 'paho'),
  folder: optional(path),
  file: optional(path),
  passwordFile: optional(path),
  pem: optional(path),
  topics: optional(list(line, 64)),
  withoutKey: optional(boolean),
  owner: optional(text(64)),
  group: optional(text(64)),
  mode: optional(parsed(parseMode)),
})

/** @throws ProtocolError INVALID_MESSAGE */
function parseMode(said: string): number {
  const mode = Number.parseInt(said, 8)
  if (/^0?[0-7]{3}$/.test(said) && (mode & 0o007) === 0) return mode
  throw new ProtocolError('INVALID_MESSAGE', 'expected a mode such as 0640, which gives a key to no other users')
}

function owned({ owner, group, mode }: Ownership | Partial<Record<keyof Ownership, undefined>>): Ownership {
  return {
    ...(owner !== undefined && { owner }),
    ...(group !== undefined && { group }),
    ...(mode !== undefined && { mode }),
  }
}
