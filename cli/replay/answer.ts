import type { Packet } from 'mqtt'

/** What a broker made of something. */
export type Answer = { readonly is: 'accepted' } | Refusal

export interface Refusal {
  readonly is: 'refused'
  /** MQTT 5.0 §2.4; in CONNACK also one of MQTT 3.1.1 §3.2.2.3. */
  readonly code: number
  readonly text: string
}

/** In the words of the standard, and in the broker's where its packet has any. */
export function refusal(code: number, packet?: Packet): Refusal {
  const properties = packet && 'properties' in packet ? packet.properties : undefined
  const told = properties && 'reasonString' in properties ? properties.reasonString : undefined
  const text = [`0x${code.toString(16).padStart(2, '0')}`, texts[code], told && `(${told})`].filter(Boolean).join(' ')
  return { is: 'refused', code, text }
}

const texts: Readonly<Record<number, string>> = {
  // MQTT 3.1.1 §3.2.2.3
  0x01: 'unacceptable protocol version',
  0x02: 'identifier rejected',
  0x03: 'server unavailable',
  0x04: 'bad user name or password',
  0x05: 'not authorized',
  // MQTT 5.0 §2.4
  0x80: 'unspecified error',
  0x81: 'malformed packet',
  0x82: 'protocol error',
  0x83: 'implementation specific error',
  0x84: 'unsupported protocol version',
  0x85: 'client identifier not valid',
  0x86: 'bad user name or password',
  0x87: 'not authorized',
  0x88: 'server unavailable',
  0x89: 'server busy',
  0x8a: 'banned',
  0x8b: 'server shutting down',
  0x8c: 'bad authentication method',
  0x8d: 'keep alive timeout',
  0x8e: 'session taken over',
  0x8f: 'topic filter invalid',
  0x90: 'topic name invalid',
  0x91: 'packet identifier in use',
  0x93: 'receive maximum exceeded',
  0x94: 'topic alias invalid',
  0x95: 'packet too large',
  0x96: 'message rate too high',
  0x97: 'quota exceeded',
  0x98: 'administrative action',
  0x99: 'payload format invalid',
  0x9a: 'retain not supported',
  0x9b: 'QoS not supported',
  0x9c: 'use another server',
  0x9d: 'server moved',
  0x9e: 'shared subscriptions not supported',
  0x9f: 'connection rate exceeded',
  0xa0: 'maximum connect time',
  0xa1: 'subscription identifiers not supported',
  0xa2: 'wildcard subscriptions not supported',
}
