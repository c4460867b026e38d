import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import type { TestContext } from 'node:test'
import { parseJoinUri, parseTopicName } from '#protocol'
import { Clock } from '../../device-agent/clock.js'
import type { OpenTpm } from '../../device-agent/device-keys.js'
import { nodeDisk } from '../../device-agent/disk.js'
import { enroll, type JoinMethod } from '../../device-agent/enroll.js'
import type { KeyRotation } from '../../device-agent/renewal.js'
import { Agent } from '../../device-agent/run.js'
import { StateFolder } from '../../device-agent/state-folder.js'
import { tokenJoin } from '../../device-agent/token-join.js'
import { startBroker, type TestBroker, type TestConnect } from './broker-double.js'
import {
  createTestCa,
  issuingReply,
  type Reply,
  startService,
  type TestRequest,
  type TestService,
} from './service-double.js'
import { temporaryFolder } from './temporary-folder.js'

export const ca = await createTestCa()
const hourMs = 3_600_000

export interface DeviceOptions {
  /** Default: with a token, and a key in a file. */
  readonly method?: JoinMethod
  readonly openTpm?: OpenTpm
  readonly rotateKey?: KeyRotation
  readonly renewal?: 'now'
  /** `enrolled` is the fingerprint of the certificate that the device joined with. */
  readonly reasonCode?: (connect: TestConnect, enrolled: string) => number
  readonly renewReply?: (request: TestRequest) => Reply | Promise<Reply>
  /** To whoever asks when to renew, which is then asked all the time. */
  readonly infoReply?: () => Reply
}

/** Of a service that knows nothing of a question. */
export const unknownRoute: Reply = { status: 404, body: { code: 'ROUTE_UNKNOWN', title: 'Not found' } }

type Facts = Readonly<Record<string, string | number>>

/** A device that has joined, with the service and the broker that it will speak to. */
export async function enrolledDevice(context: TestContext, options: DeviceOptions = {}) {
  const folder = temporaryFolder(context)
  let enrolled = ''
  const broker: TestBroker = await startBroker(ca, (connect) => options.reasonCode?.(connect, enrolled) ?? 0)
  const issue = issuingReply(ca)
  let joined = false
  const service: TestService = await startService(ca, async (request) => {
    if (request.path.startsWith('/v1/renewal-info/')) return options.infoReply?.() ?? unknownRoute
    if (joined && options.renewReply) return options.renewReply(request)
    const reply = await issue(request)
    assert.ok(typeof reply === 'object' && 'body' in reply)
    const passed = { start: new Date(Date.now() - hourMs).toISOString(), end: new Date(Date.now() - 1).toISOString() }
    const renewal = options.renewal === 'now' && !joined ? { renewal: passed } : {}
    joined = true
    return {
      ...reply,
      body: Object.assign({}, reply.body, { broker: { mqtts: `mqtts://localhost:${broker.port}` } }, renewal),
    }
  })
  context.after(() => Promise.all([service.close(), broker.close()]))

  const state = new StateFolder(folder, nodeDisk)
  const clock = new Clock({ system: () => Date.now(), monotonic: () => performance.now() })
  const generation = await enroll({
    uri: parseJoinUri(service.joinUri()),
    method: options.method ?? tokenJoin('tm1.id.secret', {}),
    state,
    clock,
  })

  enrolled = new X509Certificate(generation.certificateChain).fingerprint256

  const run = () => {
    const stopping = new AbortController()
    context.after(() => {
      stopping.abort()
    })
    const events: { readonly name: string; readonly facts: Facts }[] = []
    const waiting: (() => void)[] = []
    const log = (name: string, facts: Facts = {}): void => {
      events.push({ name, facts })
      for (const look of waiting.splice(0)) look()
    }
    let writers = 0
    let mostWriters = 0
    const disk = {
      ...nodeDisk,
      write: async (path: string, content: string, mode?: number) => {
        if (!path.endsWith('status.json')) return nodeDisk.write(path, content, mode)
        mostWriters = Math.max(mostWriters, ++writers)
        await nodeDisk.write(path, content, mode).finally(() => writers--)
        if (content.includes('"connected"')) log('reported connected')
      },
    }
    const ended = Agent.start(
      {
        ...{ state, disk, clock, random: () => 0, stopped: stopping.signal, log },
        openTpm: options.openTpm ?? (() => Promise.reject(new Error('no TPM here'))),
        ...(options.rotateKey && { rotateKey: options.rotateKey }),
        ...(options.infoReply && { pace: { leastMs: 1, usualMs: 5, mostMs: 5 } }),
        announce: { topic: parseTopicName('devices/gate-7/state') },
      },
      generation,
    ).then((agent) => agent.run())
    let seen = 0
    /** The next event of that name that has not been asked for yet. */
    const event = async (name: string, matches: (facts: Facts) => boolean = () => true): Promise<Facts> => {
      for (;;) {
        while (seen < events.length) {
          const next = events[seen++]
          if (next?.name === name && matches(next.facts)) return next.facts
        }
        await new Promise<void>((resolve) => waiting.push(resolve))
      }
    }
    const stop = async (): Promise<void> => {
      stopping.abort()
      await ended
    }
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
    return { event, stop, turn, mostWritersOfStatus: () => mostWriters }
  }
  return { folder, broker, service, run }
}
