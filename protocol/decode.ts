import { decodeBase64url } from './encoding.js'
import { CodedError, ProtocolError } from './errors.js'

/** Reads one untrusted value or throws; `path` names the place for the person who has to mend it (`csr`, `quote.pcrs`). */
export type Decoder<T> = (value: unknown, path: string) => T

export function text(maxLength: number): Decoder<string> {
  return (value, path) => {
    if (typeof value !== 'string') throw mismatch(path, 'text', value)
    if (value.length > maxLength) throw mismatch(path, `text of at most ${maxLength} characters`, value)
    return value
  }
}

/** One of a few words. */
export function word<const Words extends readonly string[]>(...words: Words): Decoder<Words[number]> {
  return (value, path) => {
    if (typeof value !== 'string' || !words.includes(value)) throw mismatch(path, `one of ${words.join(', ')}`, value)
    return value
  }
}

/** Text that a `parse…` function turns into a value with a meaning. */
export function parsed<T>(parse: (text: string) => T, maxLength = 1024): Decoder<T> {
  return (value, path) => {
    const source = text(maxLength)(value, path)
    return inside(path, () => parse(source))
  }
}

/** A whole number in a range, both ends included. */
export function integer(least: number, most: number): Decoder<number> {
  return (value, path) => {
    if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
      throw mismatch(path, `a whole number from ${least} to ${most}`, value)
    }
    return value
  }
}

export const boolean: Decoder<boolean> = (value, path) => {
  if (typeof value !== 'boolean') throw mismatch(path, 'true or false', value)
  return value
}

/** base64url text of at most `maxBytes` bytes; the length is checked before anything is decoded. */
export function bytes(maxBytes: number): Decoder<Uint8Array> {
  const maxLength = Math.ceil((maxBytes * 4) / 3)
  return (value, path) => {
    if (typeof value !== 'string') throw mismatch(path, 'base64url text', value)
    if (value.length > maxLength) throw mismatch(path, `at most ${maxBytes} bytes as base64url`, value)
    return inside(path, () => decodeBase64url(value))
  }
}

export function list<T>(item: Decoder<T>, maxItems: number): Decoder<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value) || value.length > maxItems) throw mismatch(path, `a list of at most ${maxItems}`, value)
    return value.map((entry, at) => item(entry, `${path}[${at}]`))
  }
}

/** A JSON object used as a map. The result has no prototype, so that `__proto__` is a key like any other. */
export function record<T>(
  item: Decoder<T>,
  maxEntries: number,
  key: Decoder<string> = text(64),
): Decoder<Readonly<Record<string, T>>> {
  return (value, path) => {
    const entries = Object.entries(asObject(value, path))
    if (entries.length > maxEntries) throw mismatch(path, `an object of at most ${maxEntries} entries`, value)
    const result: Record<string, T> = Object.create(null) as Record<string, T>
    for (const [name, entry] of entries) result[key(name, `${path} key`)] = item(entry, `${path}.${name}`)
    return result
  }
}

type Optional<T> = Decoder<T> & { readonly optional: true }

/** A field that may be absent; an explicit `undefined` counts as absent, `null` does not. */
export function optional<T>(decoder: Decoder<T>): Optional<T> {
  return Object.assign((value: unknown, path: string) => decoder(value, path), { optional: true as const })
}

type Fields = Readonly<Record<string, Decoder<unknown>>>
type OptionalNames<F extends Fields> = { [Name in keyof F]: F[Name] extends Optional<unknown> ? Name : never }[keyof F]
type Decoded<D> = D extends Decoder<infer T> ? T : never
type ObjectOf<F extends Fields> = { readonly [Name in Exclude<keyof F, OptionalNames<F>>]: Decoded<F[Name]> } & {
  readonly [Name in OptionalNames<F>]?: Decoded<F[Name]>
}

/** A JSON object with exactly these fields; an unknown field is an error, because a misspelt limit must not be no limit. */
export function object<const F extends Fields>(fields: F): Decoder<ObjectOf<F>> {
  return (value, path) => {
    const source = asObject(value, path)
    const unknown = Object.keys(source).find((name) => !Object.hasOwn(fields, name))
    if (unknown !== undefined) {
      throw invalid(join(path, unknown.slice(0, 64)), `unknown field (known here: ${Object.keys(fields).join(', ')})`)
    }
    const result: Record<string, unknown> = {}
    for (const [name, decoder] of Object.entries(fields)) {
      const field = Object.hasOwn(source, name) ? source[name] : undefined
      if (field === undefined && 'optional' in decoder) continue
      if (field === undefined) throw invalid(join(path, name), 'missing')
      result[name] = decoder(field, join(path, name))
    }
    return result as ObjectOf<F>
  }
}

/** Parses JSON text from outside and decodes it. @throws ProtocolError INVALID_MESSAGE */
export function decodeJson<T>(json: string, decoder: Decoder<T>, what: string): T {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    throw new ProtocolError('INVALID_MESSAGE', `${what}: not JSON`, { cause })
  }
  return decoder(value, what)
}

function asObject(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw mismatch(path, 'an object', value)
  return value as Readonly<Record<string, unknown>>
}

function inside<T>(path: string, decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    if (error instanceof CodedError) throw invalid(path, error.message, error)
    throw error
  }
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

function mismatch(path: string, expected: string, value: unknown): ProtocolError {
  return invalid(path, `expected ${expected}, got ${describe(value)}`)
}

function invalid(path: string, problem: string, cause?: Error): ProtocolError {
  return new ProtocolError('INVALID_MESSAGE', `${path === '' ? 'message' : path}: ${problem}`, cause ? { cause } : {})
}

/** Says what kind of thing came, never the thing: it can be a secret, and it can be long. */
function describe(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'string') return `text of ${value.length} characters`
  return typeof value
}
