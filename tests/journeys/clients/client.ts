import type { StageDevice } from '../../../demo/stage.js'

/** How a client is to speak. */
export interface Way {
  readonly version: '3.1.1' | '5'
  readonly transport: 'TLS' | 'WebSocket'
}

export type Qos = 0 | 1 | 2

/** Who connects, and where. */
export interface Caller extends Way {
  readonly device: StageDevice
  readonly clientId: string
  readonly port: number
}

export interface Publishing extends Caller {
  readonly topic: string
  readonly payloads: readonly string[]
  readonly qos: Qos
  readonly retain?: boolean
}

export interface Listening extends Caller {
  readonly filter: string
  readonly qos: Qos
  /** Finds the session that is there, and leaves it behind; else it starts clean, and nothing stays. */
  readonly keep?: boolean
  readonly will?: { readonly topic: string; readonly payload: string }
}

/** A message as the client gave it to its user. */
export interface Heard {
  readonly topic: string
  readonly payload: string
  readonly qos: number
  readonly retain: boolean
}

export interface Listener {
  /** What SUBACK granted, or said instead. */
  readonly granted: number
  readonly heard: readonly Heard[]
  /** Resolves when so many messages have come. @throws Error when they do not, in a long time */
  hears(count: number): Promise<readonly Heard[]>
  /** Goes with a DISCONNECT. */
  leave(): Promise<void>
  /** Its connection is gone, without a word; if it is not gone already. */
  vanish(): Promise<void>
}

/** An MQTT client that somebody else wrote, with the two things that users do with one. */
export interface Client {
  /** Resolves when the broker has answered for all of them, as their QoS demands. */
  publish(publishing: Publishing): Promise<void>
  /** Resolves when it has subscribed. */
  listen(listening: Listening): Promise<Listener>
}
