import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseJoinUri } from '#protocol'
import type { Clock } from './clock.js'
import { nodeDisk } from './disk.js'
import type { Check } from './doctor/check.js'
import { checkAddon, checkTpm } from './doctor/chip.js'
import { checkClock, checkServer } from './doctor/network.js'
import { checkStanding } from './doctor/standing.js'
import { checkFolder, checkIdentity } from './doctor/state.js'
import { AgentError } from './errors.js'
import type { IssuedGeneration } from './generation.js'
import { openClock } from './open-clock.js'
import { StateFolder } from './state-folder.js'
import type { Surroundings } from './surroundings.js'

export interface DoctorOptions {
  readonly data: string
  readonly tpm?: string
  readonly join?: string
  readonly buildAddon: boolean
  readonly output: 'text' | 'json'
}

const usualTpm = '/dev/tpmrm0'

/** `touchmark-agent doctor`: one line for everything that an identity rests on. @throws AgentError CHECK_FAILED */
export async function doctorCommand(options: DoctorOptions, surroundings: Surroundings): Promise<void> {
  if (options.buildAddon) await buildAddon()
  const state = new StateFolder(options.data, nodeDisk)
  const current = await state.current()
  const clock = await openClock(state)
  const tpm = options.tpm ?? tpmOf(current) ?? (existsSync(usualTpm) ? usualTpm : undefined)
  const checks: readonly Check[] = [
    await checkFolder(options.data, current),
    await checkIdentity(current, clock.now()),
    checkClock(clock),
    ...(tpm === undefined ? [noTpm] : await checkTpm(tpm, surroundings.openTpm)),
    checkAddon(tpm === undefined ? 'not needed' : 'needed'),
    ...(await checkServers(options, current, clock, surroundings)),
  ]
  surroundings.out(options.output === 'json' ? JSON.stringify(checks, undefined, 2) : asText(checks))
  const failed = checks.filter(({ result }) => result === 'fail')
  if (failed.length > 0)
    throw new AgentError('CHECK_FAILED', `to be mended: ${failed.map(({ name }) => name).join(', ')}`)
}

const noTpm: Check = { name: 'tpm', result: 'ok', says: `none at ${usualTpm}; keys are in files` }

function tpmOf(current: IssuedGeneration | undefined): string | undefined {
  return current?.key.kind === 'tpm' ? current.key.tpm : undefined
}

/** Where the device joined and connects; before that, where it is about to join. */
async function checkServers(
  { join }: DoctorOptions,
  current: IssuedGeneration | undefined,
  clock: Clock,
  { openTpm }: Surroundings,
): Promise<readonly Check[]> {
  if (join !== undefined) {
    const uri = parseJoinUri(join)
    return [await checkServer('service', uri, { pins: uri.pins }, clock)]
  }
  return current === undefined ? [] : checkStanding(current, clock, openTpm)
}

/** As at the installation, whose scripts may have been switched off; npm brings the compiler's driver along. */
async function buildAddon(): Promise<void> {
  const cwd = fileURLToPath(new URL('../..', import.meta.url))
  const building = spawn('npm', ['run', '--silent', 'addon'], { cwd, stdio: ['ignore', 2, 2] })
  const outcome: readonly unknown[] = await once(building, 'exit').catch((cause: unknown) => {
    throw new AgentError('KEY_UNAVAILABLE', 'building the addon takes npm, which is not there', { cause })
  })
  if (outcome[0] !== 0) throw new AgentError('KEY_UNAVAILABLE', 'the addon could not be built; see above')
}

function asText(checks: readonly Check[]): string {
  return checks.map(({ name, result, says }) => `${result.padEnd(5)}${name.padEnd(16)}${says}`).join('\n')
}
