import { nodeDisk } from './disk.js'
import { AgentError } from './errors.js'
import { healthOf } from './health.js'
import { isLocked } from './lock.js'
import { openClock } from './open-clock.js'
import { StateFolder } from './state-folder.js'
import { type AgentStatus, generationStatus, readStatus } from './status.js'
import type { Surroundings } from './surroundings.js'

export interface StatusOptions {
  readonly data: string
  readonly output: 'text' | 'json'
  /** Whether to fail for one that is not well. */
  readonly healthy: boolean
}

/** `touchmark-agent status`: what is on disk, and what the agent that runs last said. Changes nothing. */
export async function statusCommand({ data, output, healthy }: StatusOptions, { out }: Surroundings): Promise<void> {
  const state = new StateFolder(data, nodeDisk)
  const current = await state.current()
  if (current === undefined) throw notEnrolled(data)
  const facts = generationStatus(current)
  const told = await readStatus(data, nodeDisk)
  const silent: AgentStatus = { ...facts, state: 'enrolled', updatedAt: facts.certificate.notBefore }
  const status = told?.generation === current.number ? told : silent
  // A killed agent had no chance to say that it stopped.
  const gone = !(await isLocked(data)) && status.state !== 'enrolled'
  const now: AgentStatus = gone ? { ...status, state: 'stopped' } : status
  out(output === 'json' ? JSON.stringify(now, undefined, 2) : asText(now))
  const { problems } = healthOf(now, (await openClock(state)).now())
  if (healthy && problems.length > 0) throw new AgentError('CHECK_FAILED', problems.join('; '))
}

export function notEnrolled(data: string): AgentError {
  const problem = `${data} holds no identity; join first with "touchmark-agent enroll --join URI …", or name the folder with --data`
  return new AgentError('NOT_ENROLLED', problem)
}

function asText(status: AgentStatus): string {
  const { certificate, renewal, lastError } = status
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['device', status.deviceId],
    ['state', status.connectedSince ? `${status.state} since ${status.connectedSince}` : status.state],
    ['broker', status.broker],
    ['key', status.keyKind === 'tpm' ? 'in the TPM' : 'in a file'],
    ['certificate', `${certificate.notBefore} to ${certificate.notAfter}`],
    ['renewal', renewal.next ?? `${renewal.start} to ${renewal.end}`],
    ['last error', lastError && `${lastError.at} ${lastError.message} [${lastError.code}]`],
    ['what to do', lastError?.advice],
    ...(status.problems ?? []).map((problem) => ['to mend', problem] as const),
  ]
  return rows.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(12)}${value}`])).join('\n')
}
