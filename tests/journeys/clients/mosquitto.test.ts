import test from 'node:test'
import { needs } from '../../needs.js'
import { type Gap, runMatrix } from './matrix.js'
import { mosquitto } from './mosquitto.js'

const gaps: readonly Gap[] = [
  { without: { transport: 'WebSocket' }, because: 'the clients of mosquitto 2.0 speak TCP and TLS only' },
  {
    without: { version: '5', feature: 'leaves no will when it says goodbye' },
    because: 'mosquitto_sub asks for its will even then (DISCONNECT 0x04)',
  },
]

test('mosquitto_pub and mosquitto_sub', needs('mosquitto_pub', 'mosquitto_sub', 'stdbuf'), (t) =>
  runMatrix(t, mosquitto, gaps),
)
