import { parseLockId } from '#protocol'
import { RegistryError } from '#registry'
import { until } from '../broker/harness.js'
import { hash } from '../registry/world.js'
import { seeded } from '../seeded.js'
import { type Client, Clients } from './clients.js'
import {
  type ModelPolicy,
  modelTiers,
  networks,
  pick,
  type Random,
  randomLabels,
  randomPolicy,
  roleNames,
} from './policies.js'
import { by, type ModelService } from './service.js'
import type { Step, StepName } from './steps.js'
import type { Wallet } from './wallet.js'

/**
 * What happens to a fleet: devices come, ask, speak, renew and go while operators change policy, labels and locks. Most
 * steps do not wait for the one before, so that each finds others half done.
 */
export class Life {
  readonly clients: Clients
  readonly policies: Map<number, ModelPolicy>
  /** Where in the log each step has begun. */
  readonly began: number[] = []
  /** From where in the log on the broker has noticed that the clock was set. */
  readonly noticed: { readonly from: number; readonly at: number }[]
  readonly #service: ModelService
  /** Those in service, and those that were revoked. */
  readonly #fleet: Wallet[]
  readonly #gone: Wallet[] = []
  readonly #locks: string[] = []
  readonly #pending: Promise<unknown>[] = []
  #named = 0
  #slow = false

  constructor(service: ModelService, first: ModelPolicy) {
    this.#service = service
    this.#fleet = [...service.fleet]
    this.clients = new Clients(service)
    this.policies = new Map([[1, first]])
    this.noticed = [{ from: 0, at: service.world.clock }]
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (const { take, seed } of steps) {
      this.began.push(this.#service.world.audit.records.length)
      await this.#take(take, seeded(seed))
    }
    await this.#settle(seeded(0))
  }

  #take(step: StepName, random: Random): Promise<void> | void {
    switch (step) {
      case 'connect':
        return this.#connect(random)
      case 'cut':
        return this.#withOne(random, ({ raw }) => void raw.socket.destroy())
      case 'leave':
        return this.#withOne(random, ({ raw }) => raw.send({ cmd: 'disconnect' }))
      case 'subscribe':
      case 'unsubscribe':
      case 'publish':
        return this.#withOne(random, (client) => this.clients[step](client, random))
      case 'answer':
        return this.#withOne(random, (client) => this.clients.answer(client, random), this.clients.asked)
      case 'policy':
        return this.#changePolicy(random)
      case 'label':
        return this.#begin(() => this.#service.registry.labelDevice(this.#one(random).device, randomLabels(random), by))
      case 'lock':
        return this.#lock(random)
      case 'unlock':
        return this.#unlock()
      case 'revoke':
        return this.#revoke(random)
      case 'renew':
        return this.#begin(() => this.#one(random).renew())
      case 'rejoin':
        return this.#begin(() => this.#one(random).join(pick(modelTiers, random)))
      case 'wait':
        return this.#wait(random)
      case 'slow':
        return this.#slowDown()
      case 'turn':
        return this.#withOne(random, heardOf)
      case 'settle':
        return this.#settle(random)
      case 'restart':
        return this.#restart(random)
    }
  }

  async #connect(random: Random): Promise<void> {
    this.#hurry()
    const here = new Set(this.clients.alive.map(({ device }) => device))
    const away = this.#fleet.filter(({ device }) => !here.has(device))
    await this.clients.connect(away.length > 0 && random(4) > 0 ? pick(away, random) : this.#one(random), random)
  }

  #changePolicy(random: Random): void {
    const version = this.policies.size + 1
    const policy = randomPolicy(random, version, this.#service.world.clock)
    this.policies.set(version, policy)
    this.#begin(() => this.#service.policy.apply(JSON.stringify(policy), { file: 'model.json', dryRun: false, by }))
  }

  #lock(random: Random): Promise<void> | void {
    const { device } = this.#one(random)
    const target = pick(
      [
        { device },
        { labels: { kind: 'x' } },
        { role: pick(roleNames, random) },
        { ek: hash(`ek ${device}`) },
        { addresses: pick(networks, random) },
      ],
      random,
    )
    const kind = random(20)
    const mode = 'addresses' in target || kind < 9 ? 'lock' : kind < 19 ? 'quarantine' : 'revoke'
    const ends = random(3) === 0 && { notAfter: this.#service.world.clock + 1000 * (1 + random(60)) }
    const lock = `lock-${++this.#named}`
    const order = { lock: parseLockId(lock), target, mode, reason: 'the model asks for it', ...ends } as const
    this.#begin(() => this.#service.registry.addLock(order, by).recorded)
    this.#locks.push(lock)
    if (mode === 'revoke') return this.#replaceRevoked()
  }

  #unlock(): void {
    const lock = this.#locks.shift()
    if (lock !== undefined) this.#begin(() => this.#service.registry.removeLock(parseLockId(lock), by))
  }

  #revoke(random: Random): Promise<void> {
    const { device } = pick(this.#fleet, random)
    this.#begin(() => this.#service.registry.revokeDevice(device, { ...by, reason: 'unspecified' }).recorded)
    return this.#replaceRevoked()
  }

  /** Each by a device of another name; the revoked go on trying. */
  async #replaceRevoked(): Promise<void> {
    this.#hurry()
    for (const [at, wallet] of this.#fleet.entries()) {
      if (this.#service.registry.device(wallet.device)?.state !== 'revoked') continue
      const successor = await this.#service.enlist(`new-${++this.#named}`).catch(refused)
      if (!successor) continue // a lock is on whoever would come
      this.#gone.push(wallet)
      this.#fleet[at] = successor
    }
  }

  async #wait(random: Random): Promise<void> {
    const { world, registry } = this.#service
    await this.#service.wait(1000 * pick([1, 4, 15, 40], random))
    this.noticed.push({ from: world.audit.records.length, at: world.clock })
    this.#begin(() => registry.expireLocks())
  }

  #slowDown(): void {
    this.#slow = true
    this.#service.world.audit.hold()
  }

  #hurry(): void {
    if (!this.#slow) return
    this.#slow = false
    this.#service.world.audit.release()
  }

  /** Waits until all that was asked for has been answered, and acknowledges what came, mostly. */
  async #settle(random: Random): Promise<void> {
    this.#hurry()
    await Promise.all(this.#pending.splice(0))
    for (const client of this.clients.alive) {
      await heardOf(client)
      if (random(4) > 0) this.clients.acknowledge(client)
    }
  }

  async #restart(random: Random): Promise<void> {
    await this.#settle(random)
    await this.#service.restart()
    await until(() => this.clients.alive.length === 0)
  }

  /** What is refused, is. */
  #begin(act: () => Promise<unknown>): void {
    const begun = async () => act()
    this.#pending.push(begun().catch(refused))
  }

  #one(random: Random): Wallet {
    return pick(this.#gone.length > 0 && random(12) === 0 ? this.#gone : this.#fleet, random)
  }

  #withOne(random: Random, act: (client: Client) => Promise<void> | void, among = this.clients.alive) {
    return among.length > 0 ? act(pick(among, random)) : undefined
  }
}

/** Until it has been given what it was owed, or is gone. */
function heardOf({ raw }: Client): Promise<void> {
  return Promise.race([raw.ping().catch(() => undefined), raw.closed])
}

function refused(error: unknown): undefined {
  if (!(error instanceof RegistryError)) throw error
}
