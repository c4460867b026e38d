import { type CodedError, parseJoinUri, parseTopicName } from '#protocol'
import type { OpenTpm } from '../device-keys.js'
import { nodeDisk } from '../disk.js'
import { enroll as join, type JoinMethod } from '../enroll.js'
import { AgentError } from '../errors.js'
import { lockFolder } from '../lock.js'
import { openClock } from '../open-clock.js'
import type { Passenger } from '../passenger.js'
import { Agent } from '../run.js'
import { findServices } from '../services.js'
import { StateFolder } from '../state-folder.js'
import { notEnrolled } from '../status-command.js'
import { tokenJoin } from '../token-join.js'
import type { ConnectOptions, Device, EnrollOptions, FoundService, Identity, ServicesWanted } from './api.js'
import { Conversation } from './conversation.js'
import { Events } from './events.js'

export type {
  ConnectOptions,
  Device,
  DeviceEvents,
  EnrollOptions,
  Failure,
  FoundService,
  Identity,
  Message,
  PublishOptions,
  ServicesWanted,
  Subscription,
} from './api.js'

/**
 * Gives the device an identity: a key, and a certificate of the service for it, both in the folder. Can be said at every
 * start: a certificate that is valid is left alone, an interrupted join goes on with the same key.
 * Rejects with `SERVER_UNTRUSTED`, `UNREACHABLE`, `REFUSED` and other codes of docs/device.md.
 */
export async function enroll(options: EnrollOptions): Promise<Identity> {
  const uri = parseJoinUri(options.join)
  const lock = await lockFolder(options.folder)
  try {
    const state = new StateFolder(options.folder, nodeDisk)
    await state.repair()
    const clock = await openClock(state)
    const current = await state.current()
    if (current !== undefined && current.facts.notAfter.getTime() > clock.now()) return identityOf(current)
    return await byMethod(options, async (method) => identityOf(await join({ uri, method, state, clock })))
  } finally {
    await lock.release()
  }
}

/**
 * Connects a device that has enrolled, keeps it connected, and renews its certificate in time, until it is closed. It
 * resolves at once, connected or not: a device that is offline is still a device, and what it publishes waits.
 * Rejects with `NOT_ENROLLED`, `STATE_LOCKED` (another agent works in the folder), `KEY_UNAVAILABLE`.
 */
export async function connect({ folder, announce }: ConnectOptions): Promise<Device> {
  const lock = await lockFolder(folder)
  try {
    const state = new StateFolder(folder, nodeDisk)
    await state.repair()
    const generation = await state.current()
    if (generation === undefined) throw notEnrolled(folder)
    const { deviceId } = generation.facts
    const stopping = new AbortController()
    const events = new Events()
    const conversation = new Conversation((filter, reason) => events.emit('refused', filter, reason))
    const agent = await Agent.start(
      {
        ...{ state, disk: nodeDisk, clock: await openClock(state), random: Math.random, openTpm },
        stopped: stopping.signal,
        log: (event, facts = {}) => tell(events, event, facts),
        passenger: telling(events, conversation),
        ...(announce !== undefined && {
          announce: { topic: parseTopicName(announce.replaceAll('{id}', deviceId)) },
        }),
      },
      generation,
    )
    const ended = agent.run().finally(async () => {
      conversation.end()
      await lock.release()
    })
    ended.catch(() => undefined) // `close` tells it
    return new ConnectedDevice(deviceId, events, conversation, () => {
      stopping.abort()
      return ended
    })
  } catch (error) {
    await lock.release()
    throw error
  }
}

/**
 * Services that other devices offer, as far as the policy lets this one see them. Rejects with `NOT_ENROLLED`,
 * `UNREACHABLE`, `REFUSED` (the policy has no `discover` rule for it) and other codes of docs/device.md.
 */
export async function services({ folder, ...wanted }: ServicesWanted): Promise<readonly FoundService[]> {
  return findServices(folder, wanted, openTpm)
}

class ConnectedDevice implements Device {
  readonly deviceId: string
  readonly #events: Events
  readonly #conversation: Conversation
  readonly close: () => Promise<void>

  constructor(deviceId: string, events: Events, conversation: Conversation, close: () => Promise<void>) {
    this.deviceId = deviceId
    this.#events = events
    this.#conversation = conversation
    this.close = close
  }

  get isConnected(): boolean {
    return this.#conversation.isConnected
  }

  on: Device['on'] = (event, listener) => {
    this.#events.on(event, listener)
    return this
  }

  off: Device['off'] = (event, listener) => {
    this.#events.off(event, listener)
    return this
  }

  publish: Device['publish'] = (topic, payload, { retain = false } = {}) =>
    this.#conversation.publish(topic, payload, retain)

  subscribe: Device['subscribe'] = (filter, listener) => this.#conversation.subscribe(filter, listener)
}

/** The conversation, with an event for each of its turns. */
function telling(events: Events, conversation: Conversation): Passenger {
  return {
    boarded: (session) => {
      conversation.boarded(session)
      events.emit('connected')
    },
    stranded: (error: CodedError) => {
      conversation.stranded()
      events.emit('disconnected', error)
      if (error.code === 'BROKER_REFUSED' || error.code === 'CERTIFICATE_REFUSED') events.emit('locked', error)
    },
    heard: (topic, payload, packet) => conversation.heard(topic, payload, packet),
  }
}

function tell(events: Events, event: string, facts: Readonly<Record<string, string | number>>): void {
  events.emit('log', event, facts)
  const { until } = facts
  if (event === 'renewed' && until !== undefined) events.emit('renewed', new Date(until))
}

/** Runs one join with what the options prove the device by, and lets go of the TPM afterwards. */
async function byMethod<T>(
  { token, tpm: spec, reported = {} }: EnrollOptions,
  join: (method: JoinMethod) => Promise<T>,
): Promise<T> {
  if (spec !== undefined) {
    const [{ tpmJoin }, { loadAddon }] = await Promise.all([import('../tpm-join.js'), import('../tpm-key-addon.js')])
    loadAddon() // a join without it would end in an identity that cannot connect
    const tpm = await openTpm(spec)
    try {
      const proof = { binding: 'exporter' } as const
      return await join(tpmJoin({ tpm, spec, proof, reported, ...(token !== undefined && { token }) }))
    } finally {
      await tpm.close()
    }
  }
  if (token === undefined) throw new AgentError('USAGE', 'expected a proof to join with: token or tpm')
  return join(tokenJoin(token, reported))
}

const openTpm: OpenTpm = async (spec) => (await import('#tpm')).openTpm(spec)

function identityOf({ facts }: { readonly facts: Identity }): Identity {
  return { deviceId: facts.deviceId, notAfter: facts.notAfter }
}
