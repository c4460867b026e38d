import { setTimeout as delay } from 'node:timers/promises'
import { parseTopicName } from '#protocol'
import type { Bridge } from './bridge/bridge.js'
import type { BridgeFlags, BridgeSurroundings } from './bridge/from-flags.js'
import { nodeDisk } from './disk.js'
import { firstBoot } from './first-boot/first-boot.js'
import { joinAsOrdered, sayRemarks } from './first-boot/joining.js'
import { type OrderOptions, readOrders } from './first-boot/orders.js'
import type { IssuedGeneration } from './generation.js'
import { writeHealth } from './health.js'
import { journal } from './journal.js'
import { lockFolder } from './lock.js'
import { openClock } from './open-clock.js'
import type { KeyRotation } from './renewal.js'
import { reportedFacts } from './reported-facts.js'
import { Agent, type Running } from './run.js'
import { readSettings, type Settings } from './settings/settings.js'
import { StateFolder } from './state-folder.js'
import { notEnrolled } from './status-command.js'
import { Supervisor } from './supervisor.js'
import type { Surroundings } from './surroundings.js'

export interface RunOptions extends OrderOptions, BridgeFlags {
  readonly config?: string
  readonly data: string
  readonly announce?: string
  readonly rotateKey?: KeyRotation
}

/** `touchmark-agent run`: joins first where it never has and is told where to; then until it is told to stop. */
export async function runCommand(options: RunOptions, surroundings: Surroundings): Promise<void> {
  const settings = await readSettings(options.config, surroundings)
  const lock = await lockFolder(options.data)
  try {
    const state = new StateFolder(options.data, nodeDisk)
    await state.repair()
    const clock = await openClock(state)
    const log = journal(clock, surroundings.err)
    const supervisor = new Supervisor(surroundings.environment, log)
    try {
      supervisor.ready()
      const { openTpm, stopped } = surroundings
      const facts = () => reportedFacts({ version: surroundings.version, own: settings.facts })
      const running = { state, disk: nodeDisk, clock, random: Math.random, openTpm, stopped, log, facts }
      const generation = (await state.current()) ?? (await joinFirst(options, settings, running, surroundings))
      if (generation === undefined) return // told to stop before it had joined
      const wishes = { ...wishesOf(options, settings, generation), ...audience(settings, supervisor, surroundings) }
      await live(options, { ...running, ...wishes }, generation)
    } finally {
      supervisor.close()
    }
  } finally {
    await lock.release()
  }
}

/** Until it is told to stop, with its bridge where it has one. */
async function live(options: RunOptions, running: Running, generation: IssuedGeneration): Promise<void> {
  const { clock, random, log } = running
  const { deviceId } = generation.facts
  const passenger = await openBridge(options, { data: options.data, deviceId, now: () => clock.now(), random, log })
  try {
    const agent = await Agent.start({ ...running, ...(passenger && { passenger }) }, generation)
    await agent.run()
  } finally {
    await passenger?.close()
  }
}

/** Loaded only where it is asked for: most devices have no bridge, and pay nothing for it. */
async function openBridge(flags: BridgeFlags, surroundings: BridgeSurroundings): Promise<Bridge | undefined> {
  if (flags.bridge === undefined) return undefined
  return (await import('./bridge/from-flags.js')).bridgeFromFlags(flags, surroundings)
}

/** The command line goes before the settings. */
function wishesOf(
  options: RunOptions,
  settings: Settings,
  { facts }: IssuedGeneration,
): Pick<Running, 'announce' | 'rotateKey'> {
  const rotateKey = options.rotateKey ?? settings.rotateKey
  const topic = (options.announce ?? settings.announce)?.replaceAll('{id}', facts.deviceId)
  return {
    ...(rotateKey === undefined ? {} : { rotateKey }),
    ...(topic === undefined ? {} : { announce: { topic: parseTopicName(topic) } }),
  }
}

/** Who on this machine hears of the agent, and of its certificates. */
function audience(
  settings: Settings,
  supervisor: Supervisor,
  { environment }: Surroundings,
): Pick<Running, 'watcher' | 'forOthers'> {
  return {
    forOthers: { outputs: settings.outputs ?? [], hooks: settings.hooks ?? [], environment },
    watcher: async (status) => {
      supervisor.status(`${status.state}, certificate until ${status.certificate.notAfter}`)
      await writeHealth(settings, status, nodeDisk)
    },
  }
}

async function joinFirst(
  options: RunOptions,
  settings: Settings,
  { state, clock, random, stopped, log }: Running,
  surroundings: Surroundings,
): Promise<IssuedGeneration | undefined> {
  const orders = await readOrders(options, settings, surroundings)
  const { uri } = orders
  if (uri === undefined) throw notEnrolled(options.data)
  sayRemarks(orders, surroundings)
  const joined = await firstBoot({
    join: () => joinAsOrdered({ uri, orders, flags: {}, settings, state, clock }, surroundings),
    sleep: (ms) => delay(ms, undefined, { signal: stopped }).catch(() => undefined),
    ...{ random, stopped, log },
  })
  if (joined !== undefined) log('joined', { device: joined.facts.deviceId })
  return joined
}
