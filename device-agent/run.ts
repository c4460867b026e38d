import { setTimeout as delay } from 'node:timers/promises'
import { CodedError, type Labels, messageOf } from '#protocol'
import { adviceOn } from './advice.js'
import { type Pace, reconnecting, waitAfter } from './back-off.js'
import { type Announcement, type BrokerSession, connectBroker } from './broker.js'
import type { Clock } from './clock.js'
import type { DeviceKey } from './device-key.js'
import { DeviceKeys, type OpenTpm } from './device-keys.js'
import type { Disk } from './disk.js'
import { AgentError } from './errors.js'
import { FollowUp, type FollowUpOptions } from './follow-up.js'
import type { IssuedGeneration } from './generation.js'
import { inquire } from './inquiry.js'
import type { Journal } from './journal.js'
import { isSameKey } from './key-file.js'
import type { Passenger } from './passenger.js'
import { type KeyRotation, renew } from './renewal.js'
import { askRenewalInfo, type RenewalInfo } from './renewal-info.js'
import { RenewalSchedule } from './renewal-schedule.js'
import type { StateFolder } from './state-folder.js'
import { type AgentStatus, generationStatus, writeStatus } from './status.js'

export interface Running {
  readonly state: StateFolder
  readonly disk: Disk
  readonly clock: Clock
  /** 0 to 1. */
  readonly random: () => number
  readonly openTpm: OpenTpm
  /** See `Renewing`. */
  readonly rotateKey?: KeyRotation
  /** What the machine says of itself at each renewal. Default: nothing */
  readonly facts?: () => Promise<Labels>
  readonly stopped: AbortSignal
  readonly log: Journal
  readonly announce?: Announcement
  readonly passenger?: Passenger
  /** How often to ask whether the certificate is to be renewed at another time. */
  readonly pace?: Pace
  /** Told whatever the status file is told. */
  readonly watcher?: (status: AgentStatus) => Promise<void>
  /** What other programs of this device are to have of each certificate. */
  readonly forOthers?: Pick<FollowUpOptions, 'outputs' | 'hooks' | 'environment'>
}

/** A session that ends sooner counts as a failure: whoever throws us out at once must not be asked again at once. */
const steadyMs = 60_000
/** Timers count powered time only; looking at the clock now and then finds a device that slept. */
const longestSleepMs = 15 * 60_000

/** Keeps a device alive: connected to its broker, and with a certificate that lasts. */
export class Agent {
  readonly #running: Running
  readonly #keys: DeviceKeys
  #generation: IssuedGeneration
  #key: DeviceKey
  /** Not in use any more, but for a connection that may still be open. */
  readonly #replacedKeys: DeviceKey[] = []
  #status: AgentStatus
  readonly #schedule: RenewalSchedule
  /** Aborted, and made anew, whenever another generation comes into use. */
  #replaced = new AbortController()
  /** The same whenever the next renewal is at another time. */
  #rescheduled = new AbortController()
  /** Whoever changes generations waits for the one before. */
  #turn: Promise<unknown> = Promise.resolve()
  #reported: Promise<void> = Promise.resolve()
  readonly #followUp: FollowUp

  /** Aborted when one of the loops has ended. */
  readonly #ended = new AbortController()
  readonly #stopped: AbortSignal

  private constructor(running: Running, generation: IssuedGeneration, keys: DeviceKeys, key: DeviceKey) {
    this.#running = running
    this.#keys = keys
    this.#stopped = AbortSignal.any([running.stopped, this.#ended.signal])
    this.#generation = generation
    this.#key = key
    this.#schedule = new RenewalSchedule(generation.facts, running.random)
    this.#status = { ...generationStatus(generation), state: 'connecting', updatedAt: this.#nowText() }
    this.#followUp = new FollowUp({
      ...(running.forOthers ?? { outputs: [], hooks: [], environment: {} }),
      ...{ folder: running.state.folder, disk: running.disk, random: running.random, log: running.log },
      stopped: this.#stopped,
      sleep: (ms, signal) => this.#sleep(ms, signal),
      report: (problems) => this.#report({ problems: problems.length === 0 ? undefined : problems }),
    })
  }

  static async start(running: Running, generation: IssuedGeneration): Promise<Agent> {
    const keys = new DeviceKeys(running.openTpm)
    return new Agent(running, generation, keys, await keys.open(generation.key))
  }

  /** Until it is told to stop. */
  async run(): Promise<void> {
    // Whoever stops us does not wait for a TPM.
    this.#stopped.addEventListener('abort', () => void this.#keys.close(), { once: true })
    try {
      await this.#together([this.#stayConnected(), this.#stayCertified(), this.#stayInformed()])
    } finally {
      await this.#turn
      await this.#followUp.ended()
      await this.#closeReplacedKeys()
      await this.#key.close()
      await this.#keys.close()
      await this.#report({ state: 'stopped', connectedSince: undefined })
      this.#running.log('stopped')
    }
  }

  /** What nobody foresaw in one ends the others too: then it is the supervisor's turn. */
  async #together(loops: readonly Promise<void>[]): Promise<void> {
    const ended = loops.map((loop) => loop.finally(() => this.#ended.abort()))
    await Promise.allSettled(ended)
    await Promise.all(ended)
  }

  async #stayConnected(): Promise<void> {
    let failures = 0
    while (!this.#stopped.aborted) {
      const replaced = this.#replaced.signal
      const since = performance.now()
      const tried = this.#generation
      await this.#closeReplacedKeys()
      const error = await this.#session(replaced)
      if (error === undefined) continue
      this.#running.passenger?.stranded(error)
      failures = performance.now() - since > steadyMs ? 1 : failures + 1
      await this.#fallBackFrom(tried, error)
      const wait = waitAfter(reconnecting, failures, this.#running.random)
      await this.#waiting('disconnected', error, wait)
      await this.#sleep(wait, AbortSignal.any([this.#stopped, replaced]))
    }
  }

  /** One connection, from first to last; undefined when it was us who ended it. */
  async #session(replaced: AbortSignal): Promise<CodedError | undefined> {
    const { clock, log, announce, passenger } = this.#running
    const generation = this.#generation
    const { deviceId, broker } = generation.facts
    try {
      await this.#report({ state: 'connecting', connectedSince: undefined })
      const session = await connectBroker(generation, this.#key, clock, {
        ...{ clientId: deviceId, clean: false },
        ...(announce === undefined ? {} : { announce }),
        ...(passenger === undefined ? {} : { heard: (...message) => passenger.heard(...message) }),
      })
      passenger?.boarded(session)
      log('connected', { device: deviceId, broker, generation: generation.number })
      await this.#exclusively(() => this.#dropOlderThan(generation))
      this.#followUp.proven(generation)
      await this.#report({ state: 'connected', connectedSince: this.#nowText(), lastError: undefined })
      return await untilEnded(session, AbortSignal.any([this.#stopped, replaced]))
    } catch (error) {
      if (error instanceof CodedError) return error
      throw error
    }
  }

  /** What cannot be removed today lies there till the next time, and costs nobody a connection. */
  async #dropOlderThan({ number }: IssuedGeneration): Promise<void> {
    const { state, log } = this.#running
    await state.dropOlderThan(number).catch((error: unknown) => {
      log('old generation not removed', { message: messageOf(error) })
    })
  }

  async #stayCertified(): Promise<void> {
    const { clock, log } = this.#running
    while (!this.#stopped.aborted) {
      await this.#untilRenewal()
      if (this.#stopped.aborted) return
      try {
        await this.#exclusively(() => this.#renewNow())
        log('renewed', { until: this.#generation.facts.notAfter.toISOString(), generation: this.#generation.number })
      } catch (error) {
        if (!(error instanceof CodedError)) throw error
        const asked = error instanceof AgentError ? error.refusal?.retryAfterSeconds : undefined
        await this.#failed('not renewed', error, this.#schedule.failed(clock.now(), asked))
      }
    }
  }

  async #renewNow(): Promise<void> {
    const { state, clock, rotateKey, facts } = this.#running
    const renewed = await renew(this.#generation, this.#key, { state, clock, keys: this.#keys, rotateKey, facts })
    this.#schedule.renewed(renewed.facts, clock.now())
    await this.#use(renewed)
  }

  /** Hears now and then from the service whether the certificate is to be renewed at another time. */
  async #stayInformed(): Promise<void> {
    const { clock, random, log, pace } = this.#running
    const stopped = this.#stopped
    const ask = async (): Promise<RenewalInfo> => {
      const asked = this.#generation
      const info = await askRenewalInfo(asked, this.#key, { clock, stopped })
      if (this.#generation === asked) this.#hear(info)
      return info
    }
    await inquire({ ask, pace, random, sleep: (ms) => this.#sleep(ms, stopped), stopped, log })
  }

  #hear({ window }: RenewalInfo): void {
    const before = this.#schedule.next
    this.#schedule.hear(window)
    const { next } = this.#schedule
    if (next === before) return
    this.#running.log('renewal moved', { to: new Date(next).toISOString() })
    this.#wake()
  }

  /** A new certificate that the broker does not take must not cost the device its old one. */
  async #fallBackFrom(tried: IssuedGeneration, error: CodedError): Promise<void> {
    if (error.code !== 'CERTIFICATE_REFUSED' && error.code !== 'BROKER_REFUSED') return
    const { clock, log, state } = this.#running
    await this.#exclusively(async () => {
      if (this.#generation !== tried) return // it was replaced while it was being tried
      const older = await state.fallBack().catch((error: unknown) => {
        log('not fallen back', { message: messageOf(error) }) // a disk that is full now may not be at the next try
      })
      if (older === undefined) return this.#doubt(error)
      log('fell back', { generation: older.number, error: error.code })
      this.#schedule.fellBack(older.facts, clock.now())
      await this.#use(older)
    })
  }

  /**
   * The only certificate that there is was refused in the handshake. It may be over, and this device's clock too far behind
   * to know: the service tells what it is, and renews it where it may.
   */
  #doubt({ code }: CodedError): void {
    if (code !== 'CERTIFICATE_REFUSED') return
    this.#schedule.doubted(this.#running.clock.now())
    this.#wake()
  }

  async #use(generation: IssuedGeneration): Promise<void> {
    if (!isSameKey(generation.key, this.#generation.key)) {
      const key = await this.#keys.open(generation.key)
      this.#replacedKeys.push(this.#key)
      this.#key = key
    }
    this.#generation = generation
    await this.#report(generationStatus(generation))
    this.#replaced.abort()
    this.#replaced = new AbortController()
    this.#wake()
  }

  #wake(): void {
    this.#rescheduled.abort()
    this.#rescheduled = new AbortController()
  }

  /** When no connection is open: whatever was made with one of them would end with it. */
  async #closeReplacedKeys(): Promise<void> {
    for (const key of this.#replacedKeys.splice(0)) await key.close()
  }

  async #waiting(event: string, error: CodedError, waitMs: number): Promise<void> {
    await this.#report({ state: 'waiting', connectedSince: undefined })
    await this.#failed(event, error, waitMs)
  }

  async #failed(event: string, error: CodedError, waitMs: number): Promise<void> {
    const { code, message } = error
    this.#running.log(event, { error: code, message, 'again-in': `${Math.round(waitMs / 1000)}s` })
    const advice = adviceOn(error)
    const said = { code, message: message.slice(0, 4096), ...(advice !== undefined && { advice }) }
    await this.#report({ lastError: { ...said, at: this.#nowText() } })
  }

  /**
   * A status that cannot be written must not cost the device its connection. Both loops report, and there is one file:
   * they take turns, and each writes what is newest by then.
   */
  async #report(change: { readonly [Name in keyof AgentStatus]?: AgentStatus[Name] | undefined }): Promise<void> {
    this.#status = { ...this.#status, ...change, updatedAt: this.#nowText() } as AgentStatus
    const { state, disk, log, watcher } = this.#running
    this.#reported = this.#reported
      .then(() => writeStatus(state.folder, this.#status, disk))
      .then(() => watcher?.(this.#status))
      .catch((error: unknown) => {
        log('status not written', { message: messageOf(error) })
      })
    await this.#reported
  }

  async #exclusively(change: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(change)
    this.#turn = mine.catch(() => undefined)
    await mine
  }

  /** Looks again whenever that is at another time. */
  async #untilRenewal(): Promise<void> {
    const { clock } = this.#running
    while (!this.#stopped.aborted) {
      await this.#report({ renewal: { ...this.#status.renewal, next: new Date(this.#schedule.next).toISOString() } })
      const left = this.#schedule.next - clock.now()
      if (left <= 0) return
      await this.#sleep(Math.min(left, longestSleepMs), AbortSignal.any([this.#stopped, this.#rescheduled.signal]))
    }
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    await delay(ms, undefined, { signal }).catch(() => undefined)
  }

  #nowText(): string {
    return new Date(this.#running.clock.now()).toISOString()
  }
}

/** Waits for the session's end, or ends it when the signal says so. */
async function untilEnded(session: BrokerSession, signal: AbortSignal): Promise<CodedError | undefined> {
  let tell: () => void = () => undefined
  const told = new Promise<undefined>((resolve) => (tell = () => resolve(undefined)))
  if (signal.aborted) tell()
  signal.addEventListener('abort', tell)
  try {
    const error = await Promise.race([session.ended, told])
    if (error === undefined) await session.close()
    return error
  } finally {
    signal.removeEventListener('abort', tell) // and until then we hold on to it, which Node 20 does not
  }
}
