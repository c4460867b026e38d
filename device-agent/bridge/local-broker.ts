import type { Socket } from 'node:net'
import { Aedes, type Client } from 'aedes'
import { asError } from '#protocol'
import { watchFrames } from './frame-watch.js'
import type { BridgeLimits } from './limits.js'
import { NoMemory, noRoutes } from './no-memory.js'
import { Program } from './program.js'

/** What a program says, still in its own words. */
export interface Said {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1
  readonly retain: boolean
}

export interface Host {
  /** Whether programs are let in now. */
  readonly isOpen: boolean
  /** Resolves when it may be acknowledged. Whatever it throws ends the program's connection. */
  publish(program: Program, said: Said): Promise<void>
  /** Whether it was granted. */
  subscribe(program: Program, filter: string, qos: 0 | 1): Promise<boolean>
  unsubscribe(program: Program, filter: string): void
  left(program: Program): void
}

/**
 * MQTT 3.1.1 for programs on the device, by aedes: it speaks the protocol, and leaves all that matters to its host. An
 * acknowledgement waits for the host because aedes asks for permission to publish before it sends one.
 */
export class LocalBroker {
  readonly #aedes: Aedes
  readonly #limits: BridgeLimits
  readonly #host: Host
  readonly #memory: NoMemory
  readonly #connections = new Map<Socket, Program>()
  readonly #programs = new WeakMap<object, Program>()

  private constructor(aedes: Aedes, memory: NoMemory, limits: BridgeLimits, host: Host) {
    this.#aedes = aedes
    this.#memory = memory
    this.#limits = limits
    this.#host = host
  }

  static async open(limits: BridgeLimits, host: Host): Promise<LocalBroker> {
    const memory = new NoMemory()
    const aedes = new Aedes({ mq: noRoutes, persistence: memory, maxClientsIdLength: limits.maxClientIdBytes })
    const broker = new LocalBroker(aedes, memory, limits, host)
    broker.#decide()
    await aedes.listen()
    return broker
  }

  accept(socket: Socket): void {
    if (this.#connections.size >= this.#limits.maxPrograms) return void socket.destroy()
    const client = this.#aedes.handle(socket)
    const program = new Program(client, socket, this.#limits)
    this.#connections.set(socket, program)
    this.#programs.set(client, program)
    // After aedes has taken the socket: a listener for data that comes first would set it flowing past aedes.
    socket.on(
      'data',
      watchFrames(this.#limits.maxPacketBytes, () => program.end()),
    )
    socket.once('close', () => {
      program.isGone = true
      this.#connections.delete(socket)
      this.#host.left(program)
    })
  }

  /** Whoever comes again is asked about anew. */
  dismissAll(): void {
    for (const program of this.#connections.values()) program.dismiss()
  }

  async close(): Promise<void> {
    for (const program of this.#connections.values()) program.end()
    await new Promise<void>((resolve) => {
      this.#aedes.close(resolve)
    })
  }

  #decide(): void {
    const aedes = this.#aedes
    aedes.addListener('error', () => undefined) // of the storage that there is not; unheard it would end the process

    aedes.preConnect = (_client, packet, done) => {
      // A session lasts as long as its connection; CONNACK says so by session present 0 (MQTT 3.1.1 §3.2.2.2).
      packet.clean = true
      const tooLong = Buffer.byteLength(packet.clientId) > this.#limits.maxClientIdBytes
      done(tooLong ? new Error('the client id is too long') : null, !tooLong)
    }

    aedes.authenticate = (_client, _name, _password, done) => {
      if (this.#host.isOpen) return done(null, true)
      done(Object.assign(new Error('the service refuses this device'), { returnCode: notAuthorized }), false)
    }

    aedes.authorizePublish = (client, packet, done) => {
      const program = this.#programOf(client)
      if (program === undefined) return done(new Error('no program published that'))
      const { topic, qos, retain, payload, messageId } = packet
      // Taken in already: the program has not heard of it and sends it again (MQTT 3.1.1 §4.3.3).
      if (qos === 2 && client !== null && this.#memory.isUnreleased(client, messageId)) return done(null)
      this.#host.publish(program, { topic, payload: Buffer.from(payload), qos: qos === 0 ? 0 : 1, retain }).then(
        () => done(null),
        (error: unknown) => done(asError(error)),
      )
    }

    aedes.authorizeSubscribe = (client, subscription, done) => {
      const program = this.#programOf(client)
      if (program === undefined) return done(null, null)
      this.#host.subscribe(program, subscription.topic, subscription.qos === 0 ? 0 : 1).then(
        (isGranted) => done(null, isGranted ? subscription : null), // null becomes 0x80 in SUBACK (§3.9.3)
        () => done(null, null),
      )
    }

    aedes.on('unsubscribe', (filters, client) => {
      const program = this.#programOf(client)
      if (program !== undefined) for (const filter of filters) this.#host.unsubscribe(program, filter)
    })
  }

  #programOf(client: Client | null): Program | undefined {
    return client === null ? undefined : this.#programs.get(client)
  }
}

/** MQTT 3.1.1 §3.2.2.3 */
const notAuthorized = 5
