import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CliError } from './errors.js'

/** The same folder for `touchmark up` and for the commands, so that in one directory the two find each other. */
const defaultData = 'touchmark-data'
const defaultServer = 'https://localhost:8443'

/** What the options before the command say, as commander gives them. */
export interface GlobalOptions {
  readonly server?: string
  readonly identity?: string
  readonly data?: string
}

export interface Settings {
  readonly dataFolder: string
  /** Folder with `operator.crt`, `operator.key` and `ca.crt`. */
  readonly identityFolder: string
  readonly server: URL
}

/** Options before environment before what the server wrote beside the credential before the defaults. */
export function readSettings(options: GlobalOptions, env: NodeJS.ProcessEnv): Settings {
  const dataFolder = options.data ?? env['TOUCHMARK_HOME'] ?? defaultData
  const identityFolder = options.identity ?? env['TOUCHMARK_IDENTITY'] ?? join(dataFolder, 'operator')
  const server = options.server ?? env['TOUCHMARK_SERVER'] ?? addressBeside(identityFolder) ?? defaultServer
  return { dataFolder, identityFolder, server: parseServer(server) }
}

/** `touchmark up` leaves its address here, because its ports can be other than the usual ones. */
function addressBeside(identityFolder: string): string | undefined {
  const file = join(identityFolder, 'server.url')
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined
}

function parseServer(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'https:' || url.pathname !== '/') {
    throw new CliError('USAGE', `--server: expected an address such as ${defaultServer}, got ${JSON.stringify(text)}`)
  }
  return url
}
