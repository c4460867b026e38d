import { randomBytes } from 'node:crypto'
import { parseTopicFilter, parseTopicName } from '#protocol'
import { type BrokerSession, connectBroker } from './broker.js'
import { DeviceKeys } from './device-keys.js'
import { nodeDisk } from './disk.js'
import { AgentError } from './errors.js'
import { openClock } from './open-clock.js'
import { StateFolder } from './state-folder.js'
import { notEnrolled } from './status-command.js'
import type { Surroundings } from './surroundings.js'

/*
 * One message, or the messages of one filter, on a connection of their own beside the agent's: for scripts, and to try
 * out what the device may do.
 */

export interface PublishOptions {
  readonly data: string
  readonly qos: Qos
  readonly retain: boolean
  readonly lines: boolean
}

export type Qos = 0 | 1 | 2

/**
 * `touchmark-agent publish`: done when the broker has acknowledged everything, or else it fails. Nobody acknowledges
 * QoS 0, so there it is done when the broker has gone past it all without ending the session.
 */
export async function publishCommand(
  topic: string,
  message: string | undefined,
  { data, qos, retain, lines }: PublishOptions,
  surroundings: Surroundings,
): Promise<void> {
  if ((message === undefined) !== lines) throw new AgentError('USAGE', 'expected either a MESSAGE or --lines')
  const name = parseTopicName(topic)
  await withSession(data, surroundings, async (session) => {
    surroundings.err('connected')
    const publishAll = async (): Promise<void> => {
      for await (const payload of messagesOf(message, surroundings)) {
        await session.client
          .publishAsync(name, payload, { qos, retain })
          .catch((error: unknown) => throwRefusal(session, error))
      }
      if (qos > 0) return
      await session.answersPing()
      surroundings.err('sent, not confirmed: at QoS 0 the broker does not say what becomes of a message')
    }
    await Promise.race([publishAll(), lost(session), aborted(surroundings.stopped)])
  })
}

async function* messagesOf(message: string | undefined, { readInput, readLines }: Surroundings): AsyncIterable<string> {
  if (message === undefined) return yield* readLines()
  yield message === '-' ? await readInput() : message
}

/** Throws what the broker said to a packet of ours, or why there is no broker to say anything. */
async function throwRefusal({ reason, ended }: BrokerSession, cause: unknown): Promise<never> {
  const said = reason()
  if (said === undefined || said.packet === 'disconnect') throw await ended
  throw new AgentError('BROKER_REFUSED', `the broker refused: ${said.text}`, { cause })
}

async function lost({ ended }: BrokerSession): Promise<never> {
  throw await ended
}

export interface SubscribeOptions {
  readonly data: string
  readonly qos: Qos
  readonly count?: number
  readonly timeout?: number
  readonly output: 'text' | 'json'
}

/** `touchmark-agent subscribe`: prints what arrives until it has enough, time is up, or it is stopped. */
export async function subscribeCommand(
  filter: string,
  { data, qos, count = Infinity, timeout, output }: SubscribeOptions,
  surroundings: Surroundings,
): Promise<void> {
  const name = parseTopicFilter(filter)
  await withSession(data, surroundings, async (session) => {
    const { client } = session
    let received = 0
    const enough = new Promise<void>((resolve) => {
      client.on('message', (topic, payload) => {
        if (received >= count) return
        received++
        surroundings.out(output === 'json' ? asJson(topic, payload) : `${topic} ${payload.toString('utf8')}`)
        if (received >= count) resolve()
      })
    })
    await client.subscribeAsync(name, { qos }).catch((error: unknown) => throwRefusal(session, error))
    surroundings.err(`subscribed to ${filter}`)
    await Promise.race([
      enough,
      lost(session),
      aborted(surroundings.stopped),
      ...(timeout === undefined ? [] : [elapsed(timeout)]),
    ])
    if (received < count && count !== Infinity && !surroundings.stopped.aborted) {
      throw new AgentError('TIMED_OUT', `${received} of ${count} messages arrived within ${timeout ?? 0} s`)
    }
  })
}

async function withSession(
  data: string,
  { openTpm }: Surroundings,
  use: (session: BrokerSession) => Promise<void>,
): Promise<void> {
  const state = new StateFolder(data, nodeDisk)
  const generation = await state.current()
  if (generation === undefined) throw notEnrolled(data)
  const keys = new DeviceKeys(openTpm)
  const key = await keys.open(generation.key)
  try {
    const clientId = `${generation.facts.deviceId}~${randomBytes(4).toString('hex')}`
    const session = await connectBroker(generation, key, await openClock(state), { clientId, clean: true })
    try {
      await use(session)
    } finally {
      await session.close()
    }
  } finally {
    await key.close()
    await keys.close()
  }
}

function asJson(topic: string, payload: Buffer): string {
  return JSON.stringify({ topic, payload: payload.toString('utf8'), base64: payload.toString('base64') })
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => {
      resolve()
    })
  })
}

function elapsed(seconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000).unref()
  })
}
