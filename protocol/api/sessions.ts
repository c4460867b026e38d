import type { TopicAction } from '../identity.js'
import type { DeviceId } from '../ids.js'
import type { Act } from './act.js'

/** One client id: connected, or kept for a client that will come back. */
export interface SessionView {
  readonly session: string
  readonly device: DeviceId
  readonly clientId: string
  readonly connected: boolean
  /** When the connection began, or ended. */
  readonly since: string
  /** Empty for one that is away. */
  readonly peer: string
  /** How it is spoken with; absent for one that is away. */
  readonly protocol?: MqttVersion
  readonly transport?: Transport
  readonly subscriptions: readonly { readonly filter: string; readonly qos: number }[]
  /** Messages a second, over the last seconds. */
  readonly rates: Traffic
  /** Since the connection began: what the device published, and what was handed to it. */
  readonly messages: Traffic
  /** The same in bytes, everything that is said included. */
  readonly bytes: Traffic
  /** Messages that wait or are not acknowledged yet. */
  readonly queued: number
  /** What the waiting ones take to keep. */
  readonly queuedBytes: number
  /** What the device was last not allowed to do, as long as its session is kept. */
  readonly lastRefusal?: Refusal
}

export type MqttVersion = '3.1.1' | '5'
export type Transport = 'tls' | 'websocket'

/** From the device and to it. */
export interface Traffic {
  readonly in: number
  readonly out: number
}

export interface Refusal {
  readonly at: string
  readonly action: TopicAction
  readonly topic: string
  readonly reason: string
}

export interface KickRequest extends Act {
  /** Also what is kept for the session: subscriptions and waiting messages. Default: false */
  readonly forget?: boolean
}

export interface KickAnswer {
  readonly clientId: string
  readonly device: DeviceId
  /** Whether a connection was ended. */
  readonly ended: boolean
  /** Whether the session was forgotten. */
  readonly forgotten: boolean
  /** Waiting messages that went with it. */
  readonly purged: number
}
