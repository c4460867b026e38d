import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type JoinUri, parseJoinUri } from '#protocol'
import { untilApproved } from './approval.js'
import { nodeDisk } from './disk.js'
import { AgentError } from './errors.js'
import { forgetToken, joinAsOrdered, type ProofFlags, sayRemarks } from './first-boot/joining.js'
import { type OrderOptions, readOrders } from './first-boot/orders.js'
import type { IssuedGeneration } from './generation.js'
import { lockFolder } from './lock.js'
import { openClock } from './open-clock.js'
import { readSettings } from './settings/settings.js'
import { StateFolder } from './state-folder.js'
import { generationStatus, writeStatus } from './status.js'
import type { Surroundings } from './surroundings.js'

export interface EnrollOptions extends OrderOptions, ProofFlags {
  readonly config?: string
  readonly again: boolean
  /** Seconds that an operator may take. */
  readonly wait: number
  readonly data: string
  readonly output: 'text' | 'json'
}

/** `touchmark-agent enroll` */
export async function enrollCommand(options: EnrollOptions, surroundings: Surroundings): Promise<void> {
  const settings = await readSettings(options.config, surroundings)
  const orders = await readOrders(options, settings, surroundings)
  const { uri } = orders
  if (uri === undefined) throw new AgentError('USAGE', 'expected to be told where to join: --join touchmark://…')
  const lock = await lockFolder(options.data)
  try {
    const state = new StateFolder(options.data, nodeDisk)
    await state.repair()
    const clock = await openClock(state)
    const known = options.again ? undefined : await alreadyThere(state, uri, clock.now())
    if (known !== undefined) {
      await forgetToken(orders, surroundings) // a crash may have kept the join from it
      return report(known, 'already enrolled', options, surroundings)
    }
    sayRemarks(orders, surroundings)
    const ask = (): Promise<IssuedGeneration> =>
      joinAsOrdered({ uri, orders, flags: options, settings, state, clock }, surroundings)
    const { stopped, err: say } = surroundings
    const generation = await untilApproved(ask, {
      ...{ waitSeconds: options.wait, elapsed: () => performance.now(), random: Math.random, stopped, say },
      sleep: (milliseconds) => sleep(milliseconds, undefined, { signal: stopped }).catch(() => undefined),
    })
    const updatedAt = new Date(clock.now()).toISOString()
    await writeStatus(options.data, { ...generationStatus(generation), state: 'enrolled', updatedAt }, nodeDisk)
    report(generation, 'enrolled', options, surroundings)
  } finally {
    await lock.release()
  }
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
