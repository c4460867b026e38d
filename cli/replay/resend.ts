import type { ApiClient } from '../client.js'
import { formatAge } from '../commands/arguments.js'
import type { Record } from '../commands/audit/record.js'
import { CliError } from '../errors.js'
import { interruptible } from '../interrupt.js'
import type { Output } from '../output.js'
import { type ActOptions, actOf, isShortened } from './act.js'
import { type Pace, paced } from './pace.js'
import { emptyPayload, type PayloadChoice, payloadOf } from './payload.js'
import { type Deed, Performance } from './performance.js'
import { ReadAhead } from './read-ahead.js'
import { indexOf, lastRecordOf, noRecords, noteBeginning, recordsOf } from './recording.js'
import type { Target } from './target.js'
import { type ProtocolLevel, TargetBroker } from './target-broker.js'
import { isOf, openStream } from './target-stream.js'

/** A session of the log, and where and how it is to be played again. */
export interface Resend extends ActOptions, PayloadChoice {
  readonly client: ApiClient
  readonly output: Output
  readonly session: string
  readonly pace: Pace
  readonly target: Target
  /** Default: the one that was recorded. */
  readonly clientId?: string
  /** Default: MQTT 5, or 3.1.1 with a broker that speaks no other. */
  readonly level?: ProtocolLevel
  /** PEM: nothing is sent to a broker with a certificate of one of these authorities. */
  readonly notTo: string | undefined
}

/** A recording that is no longer than this is known to be complete before anything of it is sent. */
const aheadBounds = { items: 10_000, bytes: 64 * 2 ** 20, atOnce: 8 } as const

/**
 * Plays a session again, to another broker: what the device did, in its order and time. Says what became of each, and
 * in the end how much of it.
 * @throws CliError PARTLY_DONE where the broker refused some of it, PAYLOAD_MISSING, OWN_BROKER, CONNECTION_LOST, …
 */
export async function resend(asked: Resend): Promise<void> {
  const deeds = readAhead(asked)
  try {
    await interruptible(
      () => 'interrupted before the end of the recording',
      (stop) => sendAll(asked, deeds, stop),
    )
  } finally {
    deeds.close()
  }
}

type Deeds = ReadAhead<Recorded, Deed>

async function sendAll(asked: Resend, deeds: Deeds, stop: AbortController): Promise<void> {
  const { client, output, session, target, pace } = asked
  const orStopped = <Result>(work: Promise<Result>) => Promise.race([work, stopped(stop.signal)])
  const last = await orStopped(lastRecordOf(client, session))
  const first = await orStopped(firstOf(deeds, output, last))
  if (first === undefined) return noRecords(session)
  noteBeginning(output, first)
  const clientId = clientIdOf(first, asked)
  const broker = await enter(asked, clientId, stop)
  const length = span(first.time, last.time)
  output.note(`Session ${session}, recorded over ${length}: to ${target.address.text} as ${clientId}.`)
  const performance = new Performance(output, broker)
  try {
    await orStopped(performance.play(paced(deeds, pace, stop.signal), indexOf(last)))
  } finally {
    await broker.end()
    performance.tell()
  }
  if (performance.refused > 0)
    throw new CliError('PARTLY_DONE', `${target.address.text} refused ${performance.refused} messages or subscriptions`)
}

/** Known once all is there that may be held: what is wrong with any of it is better known before anything is sent. */
async function firstOf(deeds: Deeds, output: Output, last: Record): Promise<Record | undefined> {
  const progress = output.progress()
  try {
    const held = await deeds.filled(({ record }) => progress.update(indexOf(record), indexOf(last) + 1))
    return held[0]?.record
  } finally {
    progress.end()
  }
}

function readAhead(asked: Resend): Deeds {
  const { client, session } = asked
  const prepare = async ({ record, act }: Recorded): Promise<Deed> => {
    const payload = act.does === 'publish' ? await payloadOf(client, act.message, asked) : emptyPayload
    return { record, act, payload }
  }
  return new ReadAhead(actsOf(recordsOf(client, session), asked), prepare, bytesOf, aheadBounds)
}

type Recorded = Omit<Deed, 'payload'>

async function* actsOf(records: AsyncIterable<Record>, options: ActOptions): AsyncIterable<Recorded> {
  for await (const record of records) {
    const act = actOf(record, options)
    if (act) yield { record, act }
  }
}

function bytesOf({ act }: Recorded): number {
  return act.does === 'publish' ? act.message.size : 0
}

function enter({ target, level, notTo }: Resend, clientId: string, stop: AbortController): Promise<TargetBroker> {
  const { signal } = stop
  const open = async () => {
    const stream = await openStream(target, signal)
    if (notTo === undefined || !isOf(notTo, stream)) return stream
    stream.destroy()
    const advice =
      'What is sent there is real, and under its client id a device loses its session. --to-own does it all the same.'
    throw new CliError('OWN_BROKER', `${target.address.text} is of the installation that made this log. ${advice}`)
  }
  const onLost = (error: CliError): void => stop.abort(error)
  return TargetBroker.connect(target, open, { clientId, ...(level !== undefined && { level }), signal, onLost })
}

/** @throws CliError USAGE */
function clientIdOf(record: Record, { clientId }: Resend): string {
  const recorded = record['clientId']
  if (clientId !== undefined) return clientId
  if (typeof recorded === 'string' && !isShortened(recorded)) return recorded
  throw new CliError('USAGE', 'the log does not say, or not wholly, under which client id it was: give --client-id')
}

/** From one record to another, as people count. */
function span(from: string, to: string): string {
  return formatAge(Math.max(Math.round((Date.parse(to) - Date.parse(from)) / 1000), 0))
}

/** Rejects with the reason. */
function stopped(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
