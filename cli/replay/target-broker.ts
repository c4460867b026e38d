import type { Socket } from 'node:net'
import type { IConnackPacket, IPublishPacket, MqttClient, Packet } from 'mqtt'
import { CliError } from '../errors.js'
import { describeCause } from '../untrusted.js'
import type { Qos } from './act.js'
import { type Answer, refusal } from './answer.js'
import type { Target } from './target.js'

/** As CONNECT says it (MQTT 5.0 §3.1.2.2): 4 is MQTT 3.1.1. */
export type ProtocolLevel = 4 | 5

export interface Message {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: Qos
  readonly retain: boolean
}

interface Connected extends Pick<TargetBrokerOptions, 'onLost'> {
  readonly name: string
  readonly client: MqttClient
  readonly level: ProtocolLevel
  readonly connack: IConnackPacket
}

export interface TargetBrokerOptions {
  readonly clientId: string
  /** Default: 5, and 4 where the broker does not speak that. */
  readonly level?: ProtocolLevel
  /** Ends the attempt; afterwards {@link TargetBroker.end} does. */
  readonly signal: AbortSignal
  /** Called once, when the connection is gone without our doing. */
  readonly onLost: (error: CliError) => void
}

const answerMilliseconds = 30_000
const goodbyeMilliseconds = 2000
const keepAliveSeconds = 60
/** So many messages may wait for their acknowledgement, or fewer where the broker says so. */
const mostInFlight = 100

/** One session at the broker that a recording is sent to: a clean one, that leaves nothing behind. */
export class TargetBroker {
  readonly level: ProtocolLevel
  /** So many may be sent before the first is answered (MQTT 5.0 §3.2.2.3.3). */
  readonly mostInFlight: number
  readonly #name: string
  readonly #client: MqttClient
  readonly #limits: NonNullable<IConnackPacket['properties']>
  readonly #onLost: (error: CliError) => void
  readonly #waiting = new Set<(error: CliError) => void>()
  #lost: CliError | undefined
  #said: string | undefined

  private constructor({ name, client, level, connack: { properties = {} }, onLost }: Connected) {
    this.level = level
    this.mostInFlight = Math.min(properties.receiveMaximum ?? mostInFlight, mostInFlight)
    this.#name = name
    this.#client = client
    this.#limits = properties
    this.#onLost = onLost
    client.on('disconnect', (packet) => (this.#said = refusal(packet.reasonCode ?? 0, packet).text))
    client.on('error', (error) => this.#lose(describeCause(error)))
    client.on('close', () => this.#lose(this.#said))
  }

  /**
   * @throws CliError BROKER_REFUSED, CONNECTION_LOST, and what `open` throws. It is called twice where the broker speaks
   * an older MQTT only.
   */
  static async connect(
    { address, username, password }: Target,
    open: () => Promise<Socket>,
    { clientId, level, signal, onLost }: TargetBrokerOptions,
  ): Promise<TargetBroker> {
    const { MqttClient } = await import('mqtt')
    const attempt = async (level: ProtocolLevel): Promise<TargetBroker> => {
      const stream = await open()
      const client = new MqttClient(() => stream, {
        ...{ clientId, protocolVersion: level, clean: true },
        ...(username !== undefined && { username }),
        ...(password !== undefined && { password }),
        ...{ keepalive: keepAliveSeconds, connectTimeout: answerMilliseconds, reconnectPeriod: 0, resubscribe: false },
      })
      client.on('error', () => undefined) // heard below where it matters; an unheard one would end the process
      const giveUp = (): void => void stream.destroy()
      signal.addEventListener('abort', giveUp)
      try {
        const connack = await acknowledged(client, stream, address.text)
        return new TargetBroker({ name: address.text, client, level, connack, onLost })
      } catch (error) {
        client.end(true)
        giveUp()
        signal.throwIfAborted()
        throw error
      } finally {
        signal.removeEventListener('abort', giveUp)
      }
    }
    if (level !== undefined) return attempt(level)
    return attempt(5).catch((error: unknown) => {
      if (error instanceof ConnectRefusal && speaksOlder.has(error.reasonCode)) return attempt(4)
      throw error
    })
  }

  /** Sends it, and waits until the broker has it, or at QoS 0 until it is on its way. @throws CliError CONNECTION_LOST */
  async publish({ topic, payload, qos, retain }: Message): Promise<Answer> {
    const known = this.#refusalOf({ topic, payload, qos, retain })
    if (known) return known
    return this.#ask((answer) => this.#client.publish(topic, payload, { qos, retain }, answer))
  }

  /** @throws CliError CONNECTION_LOST */
  async subscribe(filter: string, qos: Qos): Promise<Answer> {
    return this.#ask((answer) => {
      this.#client.subscribe(filter, { qos }, (error, _granted, packet) => answer(error ?? undefined, packet))
    })
  }

  /** @throws CliError CONNECTION_LOST */
  async unsubscribe(filter: string): Promise<Answer> {
    return this.#ask((answer) => this.#client.unsubscribe(filter, answer))
  }

  /** Hears what the broker sends to our subscriptions. */
  onMessage(hear: (message: IPublishPacket) => void): void {
    this.#client.on('message', (_topic, _payload, packet) => hear(packet))
  }

  /** Says goodbye (MQTT 5.0 §3.14), and closes. What is not answered yet never will be. */
  async end(): Promise<void> {
    const { stream } = this.#client
    if (!this.#lost && !stream.destroyed) {
      this.#settle(connectionLost(this.#name, 'we have left'))
      const closed = new Promise((resolve) => stream.once('close', resolve))
      const late = setTimeout(() => stream.destroy(), goodbyeMilliseconds)
      stream.end(goodbye) // not by way of the client, which would wait for every answer first
      await closed
      clearTimeout(late)
    }
    this.#client.end(true)
  }

  /** What the broker has said beforehand that it does not take; sending it would end the session (§3.2.2.3). */
  #refusalOf({ topic, payload, qos, retain }: Message): Answer | undefined {
    const { maximumQoS = 2, retainAvailable = true, maximumPacketSize = Infinity } = this.#limits
    if (qos > maximumQoS) return refusal(0x9b)
    if (retain && !retainAvailable) return refusal(0x9a)
    if (payload.length + Buffer.byteLength(topic) + mostHeaderBytes > maximumPacketSize) return refusal(0x95)
    return undefined
  }

  #ask(send: (answer: (error?: Error, packet?: Packet) => void) => unknown): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#lost) return reject(this.#lost)
      const settled = (): void => {
        this.#waiting.delete(lost)
        clearTimeout(late)
      }
      const lost = (error: CliError): void => {
        settled()
        reject(error)
      }
      const late = setTimeout(() => this.#lose('it did not answer in time'), answerMilliseconds)
      this.#waiting.add(lost)
      send((error, packet) => {
        const code = refusedBy(error, packet)
        if (error && code === undefined) return lost(this.#lost ?? connectionLost(this.#name, error.message))
        settled()
        resolve(code === undefined ? { is: 'accepted' } : refusal(code, packet))
      })
    })
  }

  #lose(why: string | undefined): void {
    if (this.#lost) return
    const lost = connectionLost(this.#name, why)
    this.#settle(lost)
    this.#client.stream.destroy()
    this.#onLost(lost)
  }

  #settle(lost: CliError): void {
    this.#lost = lost
    for (const lose of [...this.#waiting]) lose(lost)
  }
}

/** DISCONNECT, the same in either version (MQTT 5.0 §3.14.1, MQTT 3.1.1 §3.14). */
const goodbye = Uint8Array.of(0xe0, 0)

/** Fixed header, topic's length, packet identifier and no properties (MQTT 5.0 §3.3). */
const mostHeaderBytes = 5 + 2 + 2 + 1

/** How a broker says that it does not speak MQTT 5, by its own version of CONNACK or by that of 5 (§3.1.2.2). */
const speaksOlder: ReadonlySet<number> = new Set([0x01, 0x84])

class ConnectRefusal extends CliError {
  readonly reasonCode: number

  constructor(name: string, reasonCode: number) {
    super('BROKER_REFUSED', `${name} does not let us in: ${refusal(reasonCode).text}`)
    this.reasonCode = reasonCode
  }
}

function acknowledged(client: MqttClient, stream: Socket, name: string): Promise<IConnackPacket> {
  return new Promise((resolve, reject) => {
    let cause: Error | undefined
    stream.once('error', (error) => (cause = error))
    client.once('connect', resolve)
    client.once('error', (error) => {
      const code = codeOf(error)
      reject(code === undefined ? connectionLost(name, describeCause(error)) : new ConnectRefusal(name, code))
    })
    client.once('close', () => reject(connectionLost(name, cause && describeCause(cause))))
  })
}

function connectionLost(name: string, why: string | undefined): CliError {
  return new CliError('CONNECTION_LOST', `${name} ended the connection${why === undefined ? '' : `: ${why}`}`)
}

/** Of PUBACK, PUBREC or PUBCOMP in the error; of SUBACK or UNSUBACK, for its one filter, in the packet. */
function refusedBy(error: Error | undefined, packet: Packet | undefined): number | undefined {
  const granted: unknown = packet && 'granted' in packet ? packet.granted : [] // MQTT 3.1.1 grants nothing in UNSUBACK
  const codes = Array.isArray(granted) ? granted.map(Number) : []
  return (error && codeOf(error)) ?? codes.find((code) => code >= 0x80)
}

function codeOf(error: Error): number | undefined {
  return 'code' in error && typeof error.code === 'number' ? error.code : undefined
}
