import { nodeDisk } from './disk.js'
import { AgentError } from './errors.js'
import { filesOf } from './outputs/contents.js'
import { writeOutputs } from './outputs/write-outputs.js'
import { readSettings } from './settings/settings.js'
import { StateFolder } from './state-folder.js'
import { notEnrolled } from './status-command.js'
import type { Surroundings } from './surroundings.js'

export interface OutputsOptions {
  readonly data: string
  readonly config?: string
  readonly print?: 'mosquitto' | 'paho'
  readonly pem: string
}

/** `touchmark-agent outputs`: writes now what the settings name, or shows what another program's settings could say. */
export async function outputsCommand(
  { data, config, print, pem }: OutputsOptions,
  surroundings: Surroundings,
): Promise<void> {
  const current = await new StateFolder(data, nodeDisk).current()
  if (current === undefined) throw notEnrolled(data)
  if (print !== undefined) {
    for (const { content } of await filesOf({ kind: print, file: '/dev/stdout', pem }, current)) {
      surroundings.out(content.toString().trimEnd())
    }
    return
  }
  const { outputs = [], file } = await readSettings(config, surroundings)
  if (outputs.length === 0) throw new AgentError('USAGE', `${file} names no outputs; see docs/device.md`)
  const problems = await writeOutputs(outputs, current, (event, facts = {}) => {
    if (event === 'output written') surroundings.err(`${facts['kind'] ?? ''} written to ${facts['to'] ?? ''}`)
  })
  if (problems.length > 0) throw new AgentError('OUTPUT_FAILED', problems.join('; '))
}
