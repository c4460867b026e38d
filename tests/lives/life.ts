import { by, hour, newToken, register } from '../registry/world.js'
import type { Random } from '../model/policies.js'
import { seeded } from '../seeded.js'
import { type Asked, type Image, Machine } from './machine.js'
import { type Answer, ModelService, turn } from './service.js'

/** A question or an answer between a machine and the service. */
type Message = { readonly machine: Machine; readonly asked: Asked; readonly answer?: Answer; readonly sentAt: number }

/** Of one machine that stood there at first: those that have its disk, or had it. */
export interface Lineage {
  readonly name: string
  readonly machines: Machine[]
  /** Whether its disk was put back to an earlier state. */
  restored: boolean
}

const minute = 60_000
const day = 24 * hour
/** TCP and both ends' limits let no request be on its way for longer. */
const longestWayMs = 2 * minute
const keptImages = 6

/** How often each happens, out of all. */
const steps = {
  act: 30,
  carry: 40,
  sign: 18,
  syncLog: 14,
  syncStore: 14,
  repeat: 4,
  lose: 5,
  giveUp: 6,
  wait: 14,
  sleep: 6,
  beAway: 1,
  setClockBack: 1,
  kill: 4,
  restore: 1,
  copy: 2,
} as const
type Step = keyof typeof steps
const deck = (Object.keys(steps) as Step[]).flatMap((step) => Array<Step>(steps[step]).fill(step))

/**
 * What a few machines go through: every message can be lost, repeated, late or overtaken, the service killed between any
 * two steps and its store put back behind its log, and a disk put back or copied into another machine.
 */
export class Life {
  readonly service: ModelService
  readonly lineages: readonly Lineage[]
  readonly #random: Random
  readonly #onTheirWay: Message[] = []
  readonly #images = new Map<Machine, Image[]>()
  #asked = 0

  static async begin(seed: number): Promise<Life> {
    const service = await ModelService.open({ now: Date.parse('2026-01-31T12:00:00Z') })
    const life = new Life(service, seeded(seed))
    await life.#settling(async () => {
      const { registry, clock } = service
      await registry.createToken(
        newToken({ registry, clock }, 'for-two', { uses: 2, notAfter: clock.now + 7 * day }),
        by,
      )
      await register({ registry }, 'pump-1', 'pump')
    })
    const isFirstBoot = seed % 4 === 0
    if (!isFirstBoot) await life.#serveAll()
    return life
  }

  private constructor(service: ModelService, random: Random) {
    this.service = service
    this.#random = random
    const ways = { one: { token: 'for-two' }, other: { token: 'for-two' }, pump: { ek: 'pump' } }
    this.lineages = Object.entries(ways).map(([name, way]) => {
      return { name, machines: [new Machine(name, way)], restored: false }
    })
  }

  async run(count: number): Promise<void> {
    for (let at = 0; at < count; at++) {
      await this.#take(deck[this.#random(deck.length)] ?? 'act')
      await turn()
    }
    this.#onTheirWay.length = 0
    for (const { machines } of this.lineages) for (const machine of machines) machine.giveUp()
    await this.#settling(() => Promise.resolve())
  }

  /** Nothing fails any more: so much time that every copy has renewed by itself. */
  async calm(): Promise<void> {
    for (let round = 0; round < 8; round++) {
      await this.#serveAll()
      this.service.clock.now += 7 * hour
    }
  }

  /** What docs/device.md says: an operator makes a token for the device, and the machine joins anew. */
  async joinAgain(lineage: Lineage, machine: Machine): Promise<void> {
    const { registry, clock } = this.service
    const id = `again-${lineage.name}`
    const deviceId = machine.certificate?.deviceId
    const known = deviceId && registry.device(deviceId)
    const bound = known && { device: known.id, labels: known.labels }
    await this.#settling(() => registry.createToken(newToken({ registry, clock }, id, { ...bound }), by))
    machine.joinAgain({ token: id })
    await this.#serve(machine)
  }

  async #serveAll(): Promise<void> {
    for (const lineage of this.lineages) for (const machine of lineage.machines) await this.#serve(machine)
  }

  async #serve(machine: Machine): Promise<void> {
    for (let tries = 0; tries < 8; tries++) {
      const asked = this.#act(machine)
      if (asked === undefined) return
      const answer = await this.#settling(() => this.service.answer(asked.ask))
      machine.hear(asked, answer)
    }
  }

  async #take(step: Step): Promise<void> {
    const { service } = this
    const { clock } = service
    switch (step) {
      case 'act': {
        const lineage = this.#pick(this.lineages)
        const machine = lineage && this.#pick(lineage.machines)
        const asked = machine && this.#act(machine)
        if (asked) this.#onTheirWay.push({ machine, asked, sentAt: clock.now })
        return
      }
      case 'carry':
        return this.#carry(this.#takeMessage())
      case 'repeat': {
        const message = this.#pick(this.#onTheirWay)
        if (message) this.#onTheirWay.push(message)
        return
      }
      case 'lose':
        return void this.#takeMessage()
      case 'giveUp':
        return this.#one()?.giveUp()
      case 'sign':
        return service.sign(this.#random)
      case 'syncLog':
        return service.syncLog()
      case 'syncStore':
        return service.syncStore()
      case 'kill':
        return service.kill(this.#random)
      case 'wait':
        return void (clock.now += this.#random(longestWayMs))
      case 'sleep':
        return this.#pass(this.#random(10) * hour)
      case 'beAway':
        return this.#pass(this.#random(40) * day)
      case 'setClockBack':
        return void (clock.now -= hour)
      case 'restore':
        return this.#restore()
      case 'copy':
        return this.#copy()
    }
  }

  #act(machine: Machine): Asked | undefined {
    const asked = machine.act(++this.#asked, this.service.clock.now)
    if (asked === undefined) return undefined
    const images = this.#images.get(machine) ?? []
    this.#images.set(machine, [...images, machine.image].slice(-keptImages))
    return asked
  }

  #carry(message: Message | undefined): void {
    if (message === undefined || this.service.clock.now - message.sentAt > longestWayMs) return
    const { machine, asked, answer } = message
    if (answer !== undefined) return machine.hear(asked, answer)
    void this.service.answer(asked.ask).then((given) => {
      this.#onTheirWay.push({ machine, asked, answer: given, sentAt: this.service.clock.now })
    })
  }

  async #pass(time: number): Promise<void> {
    await this.service.signAll()
    this.service.clock.now += time
  }

  /** A backup of a disk is put back. */
  #restore(): void {
    const lineage = this.#pick(this.lineages)
    const machine = lineage && this.#pick(lineage.machines)
    const image = machine && this.#pick(this.#images.get(machine) ?? [])
    if (!image) return
    lineage.restored = true
    machine.restore(image)
  }

  /** A golden image: the disk as it is, or was, in another machine. */
  #copy(): void {
    const lineage = this.#pick(this.lineages)
    const machine = lineage && this.#pick(lineage.machines)
    if (!machine || lineage.machines.length > 1 || 'ek' in machine.way) return
    const image = this.#pick([...(this.#images.get(machine) ?? []), machine.image])
    if (image?.inUse !== undefined) lineage.machines.push(new Machine(`copy of ${machine.name}`, machine.way, image))
  }

  /** Has everything done that waits, until the work is. */
  async #settling<T>(work: () => Promise<T>): Promise<T> {
    let done: { readonly value: T } | undefined
    void work().then((value) => (done = { value }))
    for (;;) {
      await turn()
      if (done !== undefined && this.service.isIdle) return done.value
      this.service.sign(this.#random)
      this.service.syncLog()
      this.service.syncStore()
    }
  }

  #one(): Machine | undefined {
    return this.#pick(this.lineages.flatMap(({ machines }) => machines))
  }

  #takeMessage(): Message | undefined {
    const at = this.#random(Math.max(1, this.#onTheirWay.length))
    return this.#onTheirWay.splice(at, 1)[0]
  }

  #pick<T>(among: readonly T[]): T | undefined {
    return among[this.#random(Math.max(1, among.length))]
  }
}
