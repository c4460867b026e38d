import { InvalidArgumentError } from 'commander'
import { CliError } from '../errors.js'
import { readNamedText } from '../named-files.js'

/** Where a recording is sent: `mqtt://HOST[:PORT]`, or `mqtts://…` for TLS. */
export interface Address {
  readonly text: string
  readonly secure: boolean
  readonly host: string
  readonly port: number
}

/** A broker, and what it wants to see before it lets us in. */
export interface Target {
  readonly address: Address
  /** PEM; without it the certification authorities that Node.js knows. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly username?: string
  readonly password?: string
}

export interface TargetOptions {
  readonly to: Address
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly username?: string
  readonly passwordFile?: string
}

export function parseAddress(text: string): Address {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const secure = url?.protocol === 'mqtts:'
  const isPlain =
    url && url.username === '' && url.password === '' && /^\/?$/.test(url.pathname + url.search + url.hash)
  if (!isPlain || !(secure || url.protocol === 'mqtt:') || url.hostname === '') {
    throw new InvalidArgumentError(
      'expected mqtt://HOST:PORT or mqtts://HOST:PORT, and nothing more; who you are there: --username and --password-file',
    )
  }
  const port = url.port === '' ? (secure ? 8883 : 1883) : Number(url.port)
  return { text: `${url.protocol}//${url.hostname}:${port}`, secure, host: url.hostname.replace(/^\[|\]$/g, ''), port }
}

/** @throws CliError USAGE, CANNOT_READ */
export function readTarget({ to, ca, cert, key, username, passwordFile }: TargetOptions): Target {
  if (!to.secure && (ca ?? cert ?? key) !== undefined)
    throw new CliError('USAGE', '--ca, --cert and --key are for TLS: mqtts://HOST:PORT')
  if ((cert === undefined) !== (key === undefined)) throw new CliError('USAGE', 'expected --cert and --key together')
  return {
    address: to,
    ...(ca !== undefined && { ca: readNamedText(ca) }),
    ...(cert !== undefined && { cert: readNamedText(cert) }),
    ...(key !== undefined && { key: readNamedText(key) }),
    ...(username !== undefined && { username }),
    ...(passwordFile !== undefined && { password: readNamedText(passwordFile).replace(/\r?\n$/, '') }),
  }
}
