import { readFile } from 'node:fs/promises'
import { arch, release, type } from 'node:os'
import { join } from 'node:path'
import type { EkTemplateName } from '#tpm'
import { parseJoinUri, type JoinUri, type Labels } from '#protocol'
import { nodeDisk } from './disk.js'
import { enroll, type JoinMethod } from './enroll.js'
import { AgentError } from './errors.js'
import type { IssuedGeneration } from './generation.js'
import type { ProofOptions } from './key-file.js'
import { lockFolder } from './lock.js'
import { openClock } from './open-clock.js'
import { StateFolder } from './state-folder.js'
import { generationStatus, writeStatus } from './status.js'
import type { Surroundings } from './surroundings.js'
import { tokenJoin } from './token-join.js'

export interface EnrollOptions {
  readonly join: string
  readonly token?: string
  readonly tokenFile?: string
  readonly tpm?: string
  readonly pcrs?: string
  readonly eventLog?: string
  readonly ek?: EkTemplateName
  readonly binding: 'exporter' | 'nonce'
  readonly again: boolean
  readonly data: string
  readonly output: 'text' | 'json'
}

/** `touchmark-agent enroll` */
export async function enrollCommand(options: EnrollOptions, surroundings: Surroundings): Promise<void> {
  const uri = parseJoinUri(options.join)
  const lock = await lockFolder(options.data)
  try {
    const state = new StateFolder(options.data, nodeDisk)
    await state.repair()
    const clock = await openClock(state)
    const known = options.again ? undefined : await alreadyThere(state, uri, clock.now())
    if (known !== undefined) return report(known, 'already enrolled', options, surroundings)
    const generation = await byMethod(options, surroundings, (method) => enroll({ uri, method, state, clock }))
    const updatedAt = new Date(clock.now()).toISOString()
    await writeStatus(options.data, { ...generationStatus(generation), state: 'enrolled', updatedAt }, nodeDisk)
    report(generation, 'enrolled', options, surroundings)
  } finally {
    await lock.release()
  }
}

/** Runs one join by the method that the options ask for, and lets go of the TPM afterwards. */
async function byMethod<T>(
  options: EnrollOptions,
  surroundings: Surroundings,
  join: (method: JoinMethod) => Promise<T>,
): Promise<T> {
  const token = await readToken(options, surroundings)
  const reported = reportedFacts()
  if (options.tpm !== undefined) {
    const { tpm: spec, ek } = options
    const [{ tpmJoin }, { loadAddon }] = await Promise.all([import('./tpm-join.js'), import('./tpm-key-addon.js')])
    loadAddon() // a join without it would end in an identity that cannot connect
    const tpm = await surroundings.openTpm(spec)
    try {
      const optional = { ...(token !== undefined && { token }), ...(ek !== undefined && { ek }) }
      return await join(tpmJoin({ tpm, spec, proof: proofOf(options), reported, ...optional }))
    } finally {
      await tpm.close()
    }
  }
  if (token !== undefined) return join(tokenJoin(token, reported))
  throw new AgentError('USAGE', 'expected a proof to join with: --token, --token-file or --tpm')
}

/** What is not given is left out, so that a retry finds the key that was made for just this. */
function proofOf({ binding, pcrs, eventLog }: EnrollOptions): ProofOptions {
  return {
    binding,
    ...(pcrs !== undefined && { pcrs: parsePcrs(pcrs) }),
    ...(eventLog !== undefined && { eventLog }),
  }
}

function parsePcrs(list: string): readonly number[] {
  if (list === '') return []
  return list.split(',').map((item) => {
    const index = Number(item)
    if (!/^\d{1,2}$/.test(item.trim()) || index > 23) {
      throw new AgentError(
        'USAGE',
        `--pcrs: expected numbers from 0 to 23 with commas between, got ${JSON.stringify(item)}`,
      )
    }
    return index
  })
}

async function readToken(options: EnrollOptions, surroundings: Surroundings): Promise<string | undefined> {
  if (options.token !== undefined) return options.token
  if (options.tokenFile === undefined) return undefined
  if (options.tokenFile === '-') return (await surroundings.readInput()).trim()
  try {
    return (await readFile(options.tokenFile, 'utf8')).trim()
  } catch (cause) {
    throw new AgentError('USAGE', `cannot read the token file ${options.tokenFile}`, { cause })
  }
}

/** Stored by the service as reported, never matched on. */
function reportedFacts(): Labels {
  return { os: `${type()} ${release()}`, arch: arch(), runtime: `Node.js ${process.version}` }
}

/** An enrollment that holds is left alone, so that a start-up script can say `enroll` at every boot. */
async function alreadyThere(state: StateFolder, uri: JoinUri, now: number): Promise<IssuedGeneration | undefined> {
  const current = await state.current()
  if (current === undefined || current.facts.notAfter.getTime() <= now) return undefined
  const joined = parseJoinUri(current.facts.joinUri)
  if (joined.host === uri.host && joined.port === uri.port && joined.profile === uri.profile) return current
  const problem =
    `this device has already joined ${joined.host}:${joined.port}/${joined.profile} as ${current.facts.deviceId}; ` +
    'add --again to leave that identity, or name another folder with --data'
  throw new AgentError('ALREADY_ENROLLED', problem)
}

function report(
  generation: IssuedGeneration,
  outcome: 'enrolled' | 'already enrolled',
  { data, output }: EnrollOptions,
  { out, err }: Surroundings,
): void {
  const { deviceId, instanceId, broker, keyKind, notAfter } = generation.facts
  const folder = join(data, 'current')
  if (output === 'json') {
    return out(
      JSON.stringify({ deviceId, instanceId, generation: generation.number, keyKind, broker, notAfter, folder }),
    )
  }
  out(deviceId)
  err(`${outcome} as ${deviceId}; the certificate lasts until ${notAfter.toISOString()}`)
  err(`broker ${broker}; key, certificate and trust bundle are in ${folder}`)
  err(`next: touchmark-agent run --data ${data}`)
}
