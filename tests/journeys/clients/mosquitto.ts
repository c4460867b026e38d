import { filesOf } from '../world.js'
import type { Caller } from './client.js'
import { commandLineClient } from './command-line.js'

/** mosquitto_pub and mosquitto_sub. */
export const mosquitto = commandLineClient({
  leaves: 'at SIGTERM',

  publish: ({ topic, qos, retain = false, ...caller }) => [
    'mosquitto_pub',
    ...connecting(caller),
    ...['-l', '-t', topic, '-q', `${qos}`],
    ...(retain ? ['-r'] : []),
  ],

  listen: ({ filter, qos, keep = false, will, ...caller }) => [
    'stdbuf',
    ...['-oL', 'mosquitto_sub'],
    ...connecting(caller),
    ...['-d', '-F', 'heard %t %q %r %p', '-t', filter, '-q', `${qos}`],
    ...(keep ? ['-c'] : []),
    ...(keep && caller.version === '5' ? ['-x', '300'] : []),
    ...(will ? ['--will-topic', will.topic, '--will-payload', will.payload, '--will-qos', '1'] : []),
  ],
})

function connecting({ device, clientId, port, version }: Caller): readonly string[] {
  const { ca, cert, key } = filesOf(device)
  return [
    ...['-h', 'localhost', '-p', `${port}`, '--cafile', ca, '--cert', cert, '--key', key],
    ...['-V', version === '5' ? 'mqttv5' : 'mqttv311', '-i', clientId],
  ]
}
