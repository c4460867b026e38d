/** What the load does to a broker. */
export type Load =
  | {
      /** Publishers keep a window of messages under way: a slot is free again when all have received its message. */
      readonly kind: 'exchange'
      readonly publishers: number
      readonly subscribers: number
      readonly qos: 0 | 1
      readonly window: number
    }
  | {
      /** Full handshake, CONNECT, CONNACK, DISCONNECT, so many at a time, without TLS resumption. */
      readonly kind: 'connect'
      readonly parallel: number
    }
  | {
      /** Connections that say nothing. */
      readonly kind: 'idle'
      readonly connections: number
    }

export interface Case {
  readonly name: string
  readonly title: string
  readonly load: Load
}

const fanIn = { kind: 'exchange', publishers: 50, subscribers: 1 } as const

export const cases: readonly Case[] = [
  { name: 'fan-in-qos0-w20', title: 'Fan-in 50→1, QoS 0, window 20', load: { ...fanIn, qos: 0, window: 20 } },
  { name: 'fan-in-qos1-w20', title: 'Fan-in 50→1, QoS 1, window 20', load: { ...fanIn, qos: 1, window: 20 } },
  { name: 'fan-in-qos0-w1', title: 'Fan-in 50→1, QoS 0, window 1', load: { ...fanIn, qos: 0, window: 1 } },
  { name: 'fan-in-qos1-w1', title: 'Fan-in 50→1, QoS 1, window 1', load: { ...fanIn, qos: 1, window: 1 } },
  {
    name: 'fan-out',
    title: 'Fan-out 1→100, QoS 0, window 20',
    load: { kind: 'exchange', publishers: 1, subscribers: 100, qos: 0, window: 20 },
  },
  { name: 'connect', title: 'mTLS connections, 8 at a time', load: { kind: 'connect', parallel: 8 } },
  { name: 'idle', title: 'Idle connections, 2,000', load: { kind: 'idle', connections: 2000 } },
]
