import type { MqttClient, Packet } from 'mqtt'

/** Why the broker refused something or ended the session, in its own words or in ours for its code. */
export interface SpokenReason {
  readonly packet: Packet['cmd']
  readonly code: number
  readonly text: string
  /**
   * Whether it is about this device, so that to come back as it is would be in vain. What a broker says of itself is no
   * reason to doubt the device's certificate (MQTT 5.0 §3.2.2.2): a later attempt may do.
   */
  readonly isAboutUs: boolean
}

/** What the client's broker said last of a refusal (MQTT 5.0 §2.4); mqtt.js itself passes the code on, never the words. */
export function listenForReasons(client: MqttClient): () => SpokenReason | undefined {
  let last: SpokenReason | undefined
  client.on('packetreceive', (packet) => (last = reasonIn(packet) ?? last))
  return () => last
}

function reasonIn(packet: Packet): SpokenReason | undefined {
  const { cmd } = packet
  if (cmd === 'suback') return spoken(cmd, packet.granted.map(Number).find(isRefusal), packet.properties?.reasonString)
  if (cmd !== 'connack' && cmd !== 'puback' && cmd !== 'pubrec' && cmd !== 'disconnect') return undefined
  return spoken(cmd, packet.reasonCode, packet.properties?.reasonString)
}

function spoken(packet: Packet['cmd'], code: number | undefined, text: string | undefined): SpokenReason | undefined {
  if (code === undefined || !isRefusal(code)) return undefined
  const known = reasons[code]
  return {
    packet,
    code,
    text: text ?? known?.text ?? `reason code 0x${code.toString(16)}`,
    isAboutUs: (known?.about ?? usuallyAbout(packet)) === 'us',
  }
}

/** A connection that was never let in is no network's fault; one that was, and ends, mostly is. */
function usuallyAbout(packet: Packet['cmd']): 'us' | 'itself' {
  return packet === 'disconnect' ? 'itself' : 'us'
}

/** MQTT 5.0 §2.4; 1 is how a server of MQTT 3.1.1 only answers (§3.2.2.3 there). */
function isRefusal(code: number): boolean {
  return code >= 0x80 || code === 1
}

interface Reason {
  readonly text: string
  /** Whether the broker speaks of this device or of itself, where the packet does not tell. */
  readonly about?: 'us' | 'itself'
}

/** MQTT 5.0 §2.4, as far as the broker says them without words of its own. */
const reasons: Readonly<Record<number, Reason>> = {
  0x01: { text: 'it does not speak MQTT 5', about: 'itself' },
  0x84: { text: 'it does not speak MQTT 5', about: 'itself' },
  0x85: { text: 'the client id is not this device’s' },
  0x87: { text: 'this device is not authorized; it may be revoked, or its certificate superseded', about: 'us' },
  0x88: { text: 'it is unavailable', about: 'itself' },
  0x89: { text: 'it is busy', about: 'itself' },
  0x8b: { text: 'it is shutting down' },
  0x8d: { text: 'it heard nothing in time' },
  0x8e: { text: 'another connection took over with the same client id' },
  0x97: { text: 'a quota is exceeded' },
  0x98: { text: 'an operator ended it: this device may be revoked, or its certificate superseded', about: 'us' },
  0xa0: { text: 'the certificate has ended' },
}
