import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { parseJoinUri } from '#protocol'
import { nodeDisk } from '../disk.js'
import { AgentError } from '../errors.js'
import type { IssuedGeneration } from '../generation.js'
import { lockFolder } from '../lock.js'
import { openClock } from '../open-clock.js'
import { StateFolder } from '../state-folder.js'
import type { Surroundings } from '../surroundings.js'
import { audienceFor, joinWithOidc } from './oidc-join.js'
import { openSimulatedDevices, type SimulatedDevice } from './job-devices.js'

export interface JoinOidcOptions {
  readonly join: string
  readonly count: number
  readonly out: string
  readonly tokenCommand?: string
  readonly output: 'text' | 'json'
}

/** Issuers answer within a second, and commands that ask them may have to be downloaded first. */
const tokenCommandMs = 120_000

/**
 * `touchmark-agent join-oidc`: makes keys, says what the job's token has to be made for, and where there is a token joins
 * with all of them. Doing it again goes on with the same keys.
 */
export async function joinOidcCommand(options: JoinOidcOptions, surroundings: Surroundings): Promise<void> {
  const uri = parseJoinUri(options.join)
  const lock = await lockFolder(options.out)
  try {
    const clock = await openClock(new StateFolder(options.out, nodeDisk))
    const devices = await openSimulatedDevices(options.out, options.count, clock.now())
    const known = devices.flatMap(({ issued }) => issued ?? [])
    if (known.length === devices.length) return report(known, devices, options, surroundings)
    const join = { uri, clock, devices }
    const audience = await audienceFor(join)
    const idToken = await tokenFor(audience, options, surroundings)
    if (idToken === undefined) return ask(audience, surroundings)
    report(await joinWithOidc(join, idToken), devices, options, surroundings)
  } finally {
    await lock.release()
  }
}

/** GitLab hands a job its token in the environment; others have to be asked for one with the audience in their hands. */
async function tokenFor(
  audience: string,
  { tokenCommand }: JoinOidcOptions,
  { environment }: Surroundings,
): Promise<string | undefined> {
  if (tokenCommand === undefined) return environment['TOUCHMARK_ID_TOKEN'] || undefined
  try {
    const env = { ...environment, TOUCHMARK_AUDIENCE: audience }
    const run = promisify(execFile)
    const { stdout } = await run('/bin/sh', ['-c', tokenCommand], { env, timeout: tokenCommandMs })
    return stdout.trim()
  } catch (cause) {
    // Not in its own words: what it has printed can be a token.
    throw new AgentError('USAGE', '--token-command: the command did not end well, or not within two minutes', { cause })
  }
}

function ask(audience: string, { out, err }: Surroundings): void {
  out(audience)
  err(
    'the keys are made; get a token for this audience, and say the same again with TOUCHMARK_ID_TOKEN or --token-command',
  )
}

function report(
  issued: readonly IssuedGeneration[],
  devices: readonly SimulatedDevice[],
  { output, out: folder }: JoinOidcOptions,
  { out, err }: Surroundings,
): void {
  for (const [at, { facts }] of issued.entries()) {
    const { deviceId, broker, notAfter } = facts
    const data = devices[at]?.state.folder
    out(output === 'json' ? JSON.stringify({ deviceId, data, broker, notAfter }) : deviceId)
  }
  const [first] = issued
  if (first === undefined) return
  err(`${issued.length} simulated devices until ${first.facts.notAfter.toISOString()}; broker ${first.facts.broker}`)
  err(`each has a folder below ${folder}: 0/current/key.pem, cert.pem and ca.pem, and so on`)
}
