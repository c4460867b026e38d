import { join } from 'node:path'
import { type JoinUri, parseJoinUri } from '#protocol'
import { AgentError } from '../errors.js'
import type { Settings } from '../settings/settings.js'
import type { Surroundings } from '../surroundings.js'
import { destroySecretFile, readSecretFile } from './secret-file.js'
import { takeTokenFrom } from './token-in-settings.js'

/** What a device has been told before it has an identity. */
export interface Orders {
  readonly uri: JoinUri | undefined
  readonly token: JoinToken | undefined
  /** The text by which a TPM is opened. */
  readonly tpm: string | undefined
  /** What whoever gave the orders would want to know, such as a file that is not there. */
  readonly remarks: readonly string[]
}

/** A secret that is to be gone when it has served. */
export interface JoinToken {
  readonly text: string
  /** Takes it from wherever it lay. Gives what could not be done, and why. */
  readonly forget: () => Promise<readonly string[]>
}

/** What the command line says of it. */
export interface OrderOptions {
  readonly join?: string
  readonly token?: string
  readonly tokenFile?: string
  readonly tpm?: string
}

interface Source {
  /** By what people know it. */
  readonly by: string
  readonly text: string | undefined
}

/** Somewhere that a token lies, and will not be left lying if we can help it. */
interface TokenSource extends Source {
  readonly forget?: () => Promise<string | undefined>
}

/**
 * Command line, environment, systemd credentials, settings: each may say it, and those that do must say the same. Who a
 * device becomes is not decided by which of two texts was forgotten where. @throws AgentError SOURCES_DISAGREE,
 * SETTINGS_INVALID; ProtocolError INVALID_JOIN_URI
 */
export async function readOrders(
  options: OrderOptions,
  settings: Settings,
  surroundings: Pick<Surroundings, 'environment' | 'readInput'>,
): Promise<Orders> {
  const { environment } = surroundings
  const remarks: string[] = []
  if (settings.token !== undefined && settings.isOpenToOthers) remarks.push(openToOthers(settings.file))
  const uri = agreed('where to join', [
    { by: '--join', text: options.join },
    { by: 'TOUCHMARK_JOIN', text: environment['TOUCHMARK_JOIN'] },
    await credential('touchmark.join', environment),
    { by: `"join" in ${settings.file}`, text: settings.join },
  ])
  const tpm = agreed('the TPM', [
    { by: '--tpm', text: options.tpm },
    { by: 'TOUCHMARK_TPM', text: environment['TOUCHMARK_TPM'] },
    { by: `"tpm" in ${settings.file}`, text: settings.tpm },
  ])
  const token = oneToken([
    { by: '--token', text: options.token },
    await tokenOption(options.tokenFile, surroundings, remarks),
    { by: 'TOUCHMARK_TOKEN', text: environment['TOUCHMARK_TOKEN'] },
    await tokenFile('TOUCHMARK_TOKEN_FILE', environment['TOUCHMARK_TOKEN_FILE'], remarks),
    await credential('touchmark.token', environment),
    { by: `"token" in ${settings.file}`, text: settings.token, forget: () => takeTokenFrom(settings.file) },
    await tokenFile(`"tokenFile" in ${settings.file}`, settings.tokenFile, remarks),
  ])
  return { uri: uri === undefined ? undefined : parseJoinUri(uri), token, tpm, remarks }
}

function agreed(what: string, sources: readonly Source[]): string | undefined {
  const [first, ...others] = sources.filter(({ text }) => text?.trim())
  const other = others.find(({ text }) => text?.trim() !== first?.text?.trim())
  if (first !== undefined && other !== undefined) {
    const problem = `${first.by} and ${other.by} say different things of ${what}; take one of them away`
    throw new AgentError('SOURCES_DISAGREE', problem)
  }
  return first?.text?.trim()
}

/** All that is sent as a token, so that no other file's content ever is. */
const tokenShape = /^tm1\.[\w-]+\.[\w-]+$/

function oneToken(sources: readonly TokenSource[]): JoinToken | undefined {
  const text = agreed('the token', sources)
  if (text === undefined) return undefined
  const from = sources.filter((source) => source.text?.trim())
  if (!tokenShape.test(text)) {
    throw new AgentError('SETTINGS_INVALID', `${from[0]?.by ?? 'the token'}: a token reads tm1.<id>.<secret>`)
  }
  const forget = async (): Promise<readonly string[]> => {
    const left: string[] = []
    for (const { by, forget } of from) {
      const why = await forget?.()
      if (why !== undefined) left.push(`the token stays in ${by}: ${why}`)
    }
    return left
  }
  return { text, forget }
}

function tokenOption(
  path: string | undefined,
  { readInput }: Pick<Surroundings, 'readInput'>,
  remarks: string[],
): Promise<TokenSource> {
  if (path !== '-') return tokenFile('--token-file', path, remarks)
  return readInput().then((text) => ({ by: 'standard input', text }))
}

async function tokenFile(by: string, path: string | undefined, remarks: string[]): Promise<TokenSource> {
  if (!path) return { by, text: undefined }
  const secret = await readSecretFile(path)
  if (secret === undefined) remarks.push(`${by}: ${path} is not there`)
  if (secret?.isOpenToOthers) remarks.push(openToOthers(path))
  return { by: path, text: secret?.text, forget: () => destroySecretFile(path) }
}

function openToOthers(path: string): string {
  return `${path} holds a token and can be read by others: chmod 600`
}

/** systemd.exec(5), "Credentials": read-only, for this service alone, and gone when it ends. */
async function credential(name: string, environment: Surroundings['environment']): Promise<Source> {
  const folder = environment['CREDENTIALS_DIRECTORY']
  const secret = folder ? await readSecretFile(join(folder, name)) : undefined
  return { by: `the credential ${name}`, text: secret?.text }
}
