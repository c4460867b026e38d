import { parseDeviceId, parseLockId } from '#protocol'
import { connectPacket, publishPacket, type RawClient, subscribePacket, until } from '../broker/harness.js'
import {
  deviceNames,
  type ModelPolicy,
  pick,
  type Random,
  randomFilter,
  randomLabels,
  randomPolicy,
  randomTopic,
} from './policies.js'
import { by, type ModelService } from './service.js'

type Step =
  | 'connect'
  | 'cut'
  | 'leave'
  | 'subscribe'
  | 'publish'
  | 'policy'
  | 'label'
  | 'lock'
  | 'unlock'
  | 'revoke'
  | 'slow'
  | 'settle'
  | 'restart'

/** How often each step is taken, in so many of all. */
const weights: Readonly<Record<Step, number>> = {
  connect: 12,
  cut: 2,
  leave: 2,
  subscribe: 16,
  publish: 80,
  policy: 4,
  label: 5,
  lock: 2,
  unlock: 4,
  revoke: 0.1,
  slow: 4,
  settle: 8,
  restart: 0.5,
}

const steps = Object.keys(weights) as readonly Step[]

interface Living {
  readonly device: string
  readonly client: RawClient
  acknowledged: number
}

/**
 * What happens to a fleet: devices come, subscribe, publish and go while operators change policy, labels and locks. Most
 * steps do not wait for the one before, so that each finds others half done.
 */
export class Life {
  readonly policies: Map<number, ModelPolicy>
  /** Everyone who ever connected, with what came over their sockets. */
  readonly all: Living[] = []
  readonly #service: ModelService
  readonly #random: Random
  readonly #locks: string[] = []
  readonly #pending: Promise<unknown>[] = []
  #version = 1
  #named = 0
  #slow = false

  constructor(service: ModelService, random: Random, first: ModelPolicy) {
    this.#service = service
    this.#random = random
    this.policies = new Map([[1, first]])
  }

  async run(count: number): Promise<void> {
    for (let at = 0; at < count; at++) await this.#take(this.#nextStep())
    await this.#settle()
  }

  #nextStep(): Step {
    const all = steps.flatMap((step) => new Array<Step>(weights[step] * 10).fill(step))
    return pick(all, this.#random)
  }

  #take(step: Step): Promise<void> | void {
    switch (step) {
      case 'connect':
        return this.#connect()
      case 'cut':
        return this.#withOne(({ client }) => void client.socket.destroy())
      case 'leave':
        return this.#withOne(({ client }) => client.send({ cmd: 'disconnect' }))
      case 'subscribe':
        return this.#withOne((one) => this.#subscribe(one))
      case 'publish':
        return this.#withOne((one) => this.#publish(one))
      case 'policy':
        return this.#changePolicy()
      case 'label':
        return this.#label()
      case 'lock':
        return this.#lock()
      case 'unlock':
        return this.#unlock()
      case 'revoke':
        this.#service.registry.revokeDevice(parseDeviceId(pick(deviceNames, this.#random)), {
          ...by,
          reason: 'unspecified',
        })
        return
      case 'slow':
        this.#slow = true
        this.#service.world.audit.hold()
        return
      case 'settle':
        return this.#settle()
      case 'restart':
        return this.#restart()
    }
  }

  /** Waits until all that was asked for has been answered, and acknowledges what came, mostly. */
  async #settle(): Promise<void> {
    this.#hurry()
    await Promise.all(this.#pending.splice(0))
    for (const one of this.#alive()) {
      await Promise.race([one.client.ping().catch(() => undefined), one.client.closed])
      if (this.#random(4) > 0) this.#acknowledge(one)
    }
  }

  async #connect(): Promise<void> {
    this.#hurry()
    const device = pick(deviceNames, this.#random)
    const level = pick([4, 5] as const, this.#random)
    const client = await this.#service.world.raw(device, {}, level)
    const keeps = this.#random(2) === 0
    const properties = { receiveMaximum: 1 + this.#random(3), ...(keeps && { sessionExpiryInterval: 1000 }) }
    const will = { topic: randomTopic(this.#random), payload: Buffer.from('will'), qos: 0, retain: false } as const
    client.send(
      connectPacket(device, {
        protocolVersion: level,
        clean: !keeps,
        ...(level === 5 && { properties }),
        ...(this.#random(3) === 0 && { will }),
      }),
    )
    await Promise.race([client.next('connack').catch(() => undefined), client.closed])
    this.all.push({ device, client, acknowledged: 0 })
  }

  #subscribe({ client }: Living): void {
    const qos = pick([0, 1, 2] as const, this.#random)
    client.send(subscribePacket(this.#nextId(), [randomFilter(this.#random), qos], [randomFilter(this.#random), qos]))
  }

  #publish({ client }: Living): void {
    const more = { qos: this.#random(2), messageId: this.#nextId(), retain: this.#random(4) === 0 }
    client.send(publishPacket(randomTopic(this.#random), 'x'.repeat(this.#random(9)), more))
  }

  #changePolicy(): void {
    const version = ++this.#version
    const policy = randomPolicy(this.#random, version)
    this.policies.set(version, policy)
    this.#pending.push(this.#service.policy.apply(JSON.stringify(policy), { file: 'model.json', dryRun: false, by }))
  }

  #label(): void {
    const device = parseDeviceId(pick(deviceNames, this.#random))
    this.#pending.push(this.#service.registry.labelDevice(device, randomLabels(this.#random), by))
  }

  #lock(): void {
    const lock = `lock-${++this.#named}`
    const target = pick(
      [{ device: parseDeviceId(pick(deviceNames, this.#random)) }, { labels: { kind: 'x' } }, { role: 'r3' }],
      this.#random,
    )
    const order = { lock: parseLockId(lock), target, mode: 'lock', reason: 'the model asks for it' } as const
    this.#pending.push(this.#service.registry.addLock(order, by).recorded)
    this.#locks.push(lock)
  }

  #unlock(): void {
    const lock = this.#locks.shift()
    if (lock !== undefined) this.#pending.push(this.#service.registry.removeLock(parseLockId(lock), by))
  }

  async #restart(): Promise<void> {
    await this.#settle()
    await this.#service.restart()
    await until(() => this.#alive().length === 0)
  }

  #withOne(act: (one: Living) => void): void {
    const alive = this.#alive()
    if (alive.length > 0) act(pick(alive, this.#random))
  }

  #alive(): readonly Living[] {
    return this.all.filter(({ client }) => !client.socket.destroyed && client.all('connack').length > 0)
  }

  #acknowledge(one: Living): void {
    const came = one.client.all('publish').slice(one.acknowledged)
    one.acknowledged += came.length
    for (const { qos, messageId } of came) if (qos === 1) one.client.send({ cmd: 'puback', messageId: messageId ?? 0 })
  }

  #hurry(): void {
    if (!this.#slow) return
    this.#slow = false
    this.#service.world.audit.release()
  }

  #nextId(): number {
    return (this.#named++ % 60_000) + 1
  }
}
