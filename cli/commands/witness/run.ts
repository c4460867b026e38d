import { createPrivateKey, X509Certificate } from 'node:crypto'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { messageOf } from '#protocol'
import { openWitness, serveWitness } from '#audit'
import { CliError } from '../../errors.js'
import { readNamedText } from '../../named-files.js'
import type { Output } from '../../output.js'
import { readVerifierKey } from '../verifier-key.js'
import { refusalsTo, say } from './refusals.js'

/** The options as they were given. */
export interface WitnessCommand {
  readonly log: readonly string[]
  readonly state: string
  readonly name?: string
  readonly host: string
  readonly port: number
  readonly tlsCert?: string
  readonly tlsKey?: string
}

/** Runs until a signal ends it. */
export async function runWitness(options: WitnessCommand, output: Output): Promise<void> {
  const stopping = stopSignal() // before anything is opened, so that a signal in the middle closes it again
  const { host, port } = options
  const logs = options.log.flatMap((given) => readVerifierKey(given).split(/\s+/))
  const folder = resolve(options.state)
  const tls = readTls(options)
  const { witness, name, close } = await openWitness({
    ...{ folder, logs, now: Date.now, onRefusal: refusalsTo(folder, Date.now) },
    ...(options.name === undefined ? { defaultName: `${hostname()}/witness` } : { name: options.name }),
  })
  try {
    const server = await serveWitness(witness, { host, port, onError, ...(tls && { tls }) })
    const url = `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${server.port}`
    greet(output, { name, verifierKey: witness.verifierKey, url, folder, seen: await witness.sizes() })
    await stopping
    await server.close()
  } finally {
    await close()
  }
}

function readTls({ tlsCert, tlsKey }: WitnessCommand): { cert: string; key: string } | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined
  if (tlsCert === undefined || tlsKey === undefined) throw new CliError('USAGE', '--tls-cert and --tls-key go together')
  const tls = { cert: readNamedText(tlsCert, 'PEM'), key: readNamedText(tlsKey, 'PEM') }
  if (isPair(tls)) return tls
  throw new CliError('BAD_CREDENTIAL', `${tlsCert} and ${tlsKey} are not a certificate and its key, both PEM`)
}

/** TLS itself lets a certificate and a key of two kinds stand side by side, and then nobody gets in. */
function isPair({ cert, key }: { readonly cert: string; readonly key: string }): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))
  } catch {
    return false
  }
}

interface Ready {
  readonly name: string
  readonly verifierKey: string
  readonly url: string
  readonly folder: string
  /** Of each log how many records it has cosigned. */
  readonly seen: ReadonlyMap<string, number>
}

function greet(output: Output, { seen, ...ready }: Ready): void {
  const logs = [...seen].map(([origin, size]) => ({ origin, size }))
  if (output.format === 'json') return output.text(JSON.stringify({ event: 'ready', ...ready, logs }))
  const { name, verifierKey, url, folder } = ready
  const known = logs.map(({ origin, size }) => `  ${origin}  ${size === 0 ? 'nothing yet' : `${size} records`}`)
  output.text(`Witness ${name}, ${url}, state in ${folder}

What it has cosigned
${known.join('\n')}

In touchmark.yaml of the server that has the log:
  audit:
    witnesses:
      - url: ${url}
        vkey: ${verifierKey}

For auditors, by a way that the server does not control:
  touchmark audit verify ./audit --vkey ./audit.vkey --witness-vkey ${verifierKey}

ready`)
}

function onError(error: unknown): void {
  say(messageOf(error))
}

/** The first signal ends it in order; a second one at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(1))
        resolve()
      })
    }
  })
}
