import { parseTopicName } from '#protocol'
import { nodeDisk } from './disk.js'
import { lockFolder } from './lock.js'
import { openClock } from './open-clock.js'
import type { KeyRotation } from './renewal.js'
import { Agent } from './run.js'
import { StateFolder } from './state-folder.js'
import { notEnrolled } from './status-command.js'
import type { Surroundings } from './surroundings.js'

export interface RunOptions {
  readonly data: string
  readonly announce?: string
  readonly rotateKey?: KeyRotation
}

/** `touchmark-agent run`: until it is told to stop. */
export async function runCommand({ data, announce, rotateKey }: RunOptions, surroundings: Surroundings): Promise<void> {
  const { openTpm, stopped, err } = surroundings
  const lock = await lockFolder(data)
  try {
    const state = new StateFolder(data, nodeDisk)
    await state.repair()
    const generation = await state.current()
    if (generation === undefined) throw notEnrolled(data)
    const clock = await openClock(state)
    const log = (event: string, facts: Readonly<Record<string, string | number>> = {}): void => {
      const words = Object.entries(facts).map(([name, value]) => `${name}=${quoted(value)}`)
      err([new Date(clock.now()).toISOString(), event.replaceAll(' ', '-'), ...words].join(' '))
    }
    const topic = announce?.replaceAll('{id}', generation.facts.deviceId)
    const agent = await Agent.start(
      {
        ...{ state, disk: nodeDisk, clock, random: Math.random, openTpm, stopped, log },
        ...(rotateKey === undefined ? {} : { rotateKey }),
        ...(topic === undefined ? {} : { announce: { topic: parseTopicName(topic) } }),
      },
      generation,
    )
    await agent.run()
  } finally {
    await lock.release()
  }
}

function quoted(value: string | number): string {
  return /^[\w.:/@-]+$/.test(String(value)) ? String(value) : JSON.stringify(value)
}
