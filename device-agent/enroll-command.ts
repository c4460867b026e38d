import { readFile } from 'node:fs/promises'
import { arch, release, type } from 'node:os'
import { join } from 'node:path'
import { parseJoinUri, type JoinUri, type Labels } from '#protocol'
import { nodeDisk } from './disk.js'
import { enroll, type JoinMethod } from './enroll.js'
import { AgentError } from './errors.js'
import type { IssuedGeneration } from './generation.js'
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
  readonly binding: 'exporter' | 'nonce'
  readonly trustDomain?: string
  readonly again: boolean
  readonly data: string
  readonly output: 'text' | 'json'
}

/** `touchmark-agent enroll` */
export async function enrollCommand(options: EnrollOptions, surroundings: Surroundings): Promise<void> {
  const uri = parseJoinUri(options.join)
  const method = await chooseMethod(options, surroundings)
  const lock = await lockFolder(options.data)
  try {
    const state = new StateFolder(options.data, nodeDisk)
    await state.repair()
    const clock = await openClock(state)
    const known = options.again ? undefined : await alreadyThere(state, uri, clock.now())
    const generation = known ?? (await enroll({ uri, method, state, clock, openTpm: surroundings.openTpm }))
    const status = {
      ...generationStatus(generation),
      state: 'enrolled',
      updatedAt: new Date(clock.now()).toISOString(),
    } as const
    await writeStatus(options.data, status, nodeDisk)
    report(generation, known !== undefined, options, surroundings)
  } finally {
    await lock.release()
  }
}

async function chooseMethod(options: EnrollOptions, surroundings: Surroundings): Promise<JoinMethod> {
  const token = await readToken(options, surroundings)
  const reported = reportedFacts()
  if (options.tpm === undefined) {
    if (token !== undefined) return tokenJoin(token, reported)
    throw new AgentError('USAGE', 'expected a proof to join with: --token, --token-file or --tpm')
  }
  throw new AgentError('USAGE', 'TPM')
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
  { facts, number, key }: IssuedGeneration,
  wasThere: boolean,
  { data, output }: EnrollOptions,
  { out, err }: Surroundings,
): void {
  const current = join(data, 'current')
  if (output === 'json') {
    const { deviceId, instanceId, broker, notAfter } = facts
    out(
      JSON.stringify({
        deviceId,
        instanceId,
        generation: number,
        keyKind: key.kind,
        broker,
        notAfter,
        folder: current,
      }),
    )
    return
  }
  out(facts.deviceId)
  err(
    `${wasThere ? 'already enrolled' : 'enrolled'} as ${facts.deviceId}; the certificate lasts until ${facts.notAfter.toISOString()}`,
  )
  err(`broker ${facts.broker}; key, certificate and trust bundle are in ${current}`)
  err(`next: touchmark-agent run --data ${data}`)
}
