import type { MqttClient, Packet } from 'mqtt'

/** Why the broker refused something or ended the session, in its own words or in ours for its code. */
export interface SpokenReason {
  readonly packet: Packet['cmd']
  readonly code: number
  readonly text: string
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
  return { packet, code, text: text ?? texts[code] ?? `reason code 0x${code.toString(16)}` }
}

/** MQTT 5.0 §2.4; 1 is how a server of MQTT 3.1.1 only answers (§3.2.2.3 there). */
function isRefusal(code: number): boolean {
  return code >= 0x80 || code === 1
}

/** MQTT 5.0 §2.4, as far as the broker says them without words of its own. */
const texts: Readonly<Record<number, string>> = {
  0x01: 'it does not speak MQTT 5',
  0x84: 'it does not speak MQTT 5',
  0x85: 'the client id is not this device’s',
  0x87: 'this device is not authorized; it may be revoked, or its certificate superseded',
  0x88: 'it is unavailable',
  0x89: 'it is busy',
  0x8b: 'it is shutting down',
  0x8d: 'it heard nothing in time',
  0x8e: 'another connection took over with the same client id',
  0x97: 'a quota is exceeded',
  0x98: 'an operator ended it: this device may be revoked, or its certificate superseded',
  0xa0: 'the certificate has ended',
}
