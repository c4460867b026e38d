import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { decodePublic, openTpm } from '#tpm'
import { SimulatorError } from './errors.js'

export interface SwtpmOptions {
  /** Holds the TPM's state, its sockets and the authority of its EK certificates; a later start finds the same TPM. */
  readonly folder: string
  /**
   * Certificates that the TPM holds: `standard` are those that swtpm_setup makes, RSA-2048 and P-384; `with-p256` adds
   * P-256 (needs tpm2-tools as well); `rsa-3072` has the larger RSA key instead. Default `standard`. Only a folder's
   * first start looks at it.
   */
  readonly ek?: 'standard' | 'with-p256' | 'rsa-3072'
}

export interface RunningSwtpm {
  /** For `openTpm` and `--tpm`. */
  readonly spec: string
  /** The `TPM2TOOLS_TCTI` with which tpm2-tools reach it, while nobody else is connected. */
  readonly tcti: string
  /** PEM: the root above its EK certificates, and the authority between. */
  readonly ekRoots: readonly string[]
  readonly ekIntermediates: readonly string[]
  /** Ends it; its state stays in the folder. */
  stop(): Promise<void>
}

const run = promisify(execFile)
const readyAttempts = 500
const readyPauseMs = 10

/** A TPM of its own process: the nearest to hardware that runs anywhere. Makes and certifies it first, where the folder is new. */
export async function startSwtpm({ folder, ek = 'standard' }: SwtpmOptions): Promise<RunningSwtpm> {
  const isNew = !existsSync(join(folder, 'tpm2-00.permall'))
  if (isNew) await manufacture(folder, ek === 'rsa-3072' ? 3072 : 2048)
  const swtpm = await start(folder)
  try {
    if (isNew && ek === 'with-p256') await certifyP256(swtpm, folder)
    const authority = localAuthority(folder)
    return {
      ...swtpm,
      ekRoots: [await readFile(authority.root, 'utf8')],
      ekIntermediates: [await readFile(authority.issuer, 'utf8')],
    }
  } catch (error) {
    await swtpm.stop()
    throw error
  }
}

/** Makes the TPM's seeds, and EK certificates under an authority of its own. */
async function manufacture(folder: string, rsaBits: number): Promise<void> {
  const authority = localAuthority(folder)
  await mkdir(authority.folder, { recursive: true })
  await writeFile(
    authority.config,
    `statedir = ${authority.folder}\nsigningkey = ${join(authority.folder, 'signkey.pem')}\n` +
      `issuercert = ${authority.issuer}\ncertserial = ${join(authority.folder, 'certserial')}\n`,
  )
  await writeFile(
    authority.options,
    '--platform-manufacturer Touchmark\n--platform-version 1\n--platform-model swtpm\n',
  )
  const setup = join(folder, 'setup.conf')
  await writeFile(
    setup,
    `create_certs_tool = swtpm_localca\ncreate_certs_tool_config = ${authority.config}\n` +
      `create_certs_tool_options = ${authority.options}\nactive_pcr_banks = sha256\n`,
  )
  const keys = ['--create-ek-cert', '--rsa-keysize', String(rsaBits)]
  await call('swtpm_setup', ['--tpm2', '--tpmstate', folder, ...keys, '--overwrite', '--config', setup])
}

async function start(folder: string): Promise<Pick<RunningSwtpm, 'spec' | 'tcti' | 'stop'>> {
  const path = join(folder, 'swtpm.sock')
  for (const left of [path, `${path}.ctrl`]) await rm(left, { force: true })
  const child = spawn(
    'swtpm',
    [
      ...['socket', '--tpm2', '--tpmstate', `dir=${folder}`, '--flags', 'not-need-init,startup-clear'],
      ...['--server', `type=unixio,path=${path}`, '--ctrl', `type=unixio,path=${path}.ctrl`],
    ],
    { stdio: 'ignore' },
  )
  endWithUs(child)
  const swtpm = { spec: `swtpm:${path}`, tcti: `swtpm:path=${path}`, stop: () => stop(child) }
  try {
    await ready(child, path)
  } catch (error) {
    await swtpm.stop()
    throw error
  }
  return swtpm
}

/** Whoever forgets to stop it, or fails before, leaves no process behind. */
function endWithUs(child: ChildProcess): void {
  const end = (): void => void child.kill()
  process.once('exit', end)
  child.once('exit', () => process.off('exit', end))
}

/** swtpm says nothing when it is ready; its sockets appear. */
async function ready(child: ChildProcess, path: string): Promise<void> {
  let failure: unknown
  child.once('error', (error) => (failure = error))
  for (let attempt = 0; attempt < readyAttempts; attempt++) {
    if (existsSync(path) && existsSync(`${path}.ctrl`)) return
    if (failure !== undefined || child.exitCode !== null) break
    await delay(readyPauseMs)
  }
  throw new SimulatorError('PROGRAM_FAILED', 'swtpm did not get ready', { cause: failure })
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
}

/** swtpm_setup certifies no P-256 EK: has the same authority issue one, and puts it where the TCG expects it. */
async function certifyP256({ spec, tcti }: Pick<RunningSwtpm, 'spec' | 'tcti'>, folder: string): Promise<void> {
  const tpm = await openTpm(spec)
  const ek = decodePublic((await tpm.endorsementKey('ecc-p256')).public)
  await tpm.close()
  if (ek.type !== 'ecc') throw new SimulatorError('PROGRAM_FAILED', 'the EK is of another type than its template')
  const authority = localAuthority(folder)
  await call('swtpm_localca', [
    ...['--type', 'ek', '--ek', `x=${hex(ek.x)},y=${hex(ek.y)},id=secp256r1`, '--dir', authority.folder, '--tpm2'],
    ...['--tpm-spec-family', '2.0', '--tpm-spec-level', '0', '--tpm-spec-revision', '164'],
    ...['--tpm-manufacturer', 'id:00001014', '--tpm-model', 'swtpm', '--tpm-version', 'id:20191023'],
    ...['--configfile', authority.config, '--optsfile', authority.options],
  ])
  const certificate = join(authority.folder, 'ek.cert')
  const size = String((await readFile(certificate)).length)
  const index = '0x01c0000a'
  const attributes = 'ppwrite|ppread|ownerread|authread|no_da|platformcreate|writedefine'
  const environment = { ...process.env, TPM2TOOLS_TCTI: tcti }
  await call('tpm2_nvdefine', ['-Q', '-C', 'p', '-s', size, '-a', attributes, index], environment)
  await call('tpm2_nvwrite', ['-Q', '-C', 'p', '-i', certificate, index], environment)
}

interface LocalAuthority {
  readonly folder: string
  readonly config: string
  readonly options: string
  readonly root: string
  readonly issuer: string
}

/** Where swtpm_localca keeps what it makes. */
function localAuthority(folder: string): LocalAuthority {
  const own = join(folder, 'ek-authority')
  return {
    folder: own,
    config: join(own, 'localca.conf'),
    options: join(own, 'localca.options'),
    root: join(own, 'swtpm-localca-rootca-cert.pem'),
    issuer: join(own, 'issuercert.pem'),
  }
}

async function call(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<void> {
  try {
    await run(program, args, { env })
  } catch (cause) {
    throw new SimulatorError('PROGRAM_FAILED', `${program} failed`, { cause })
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
