import test from 'node:test'
import { needs } from '../../needs.js'
import { runMatrix } from './matrix.js'
import { mosquitto } from './mosquitto.js'

test('mosquitto_pub and mosquitto_sub', needs('mosquitto_pub', 'mosquitto_sub', 'stdbuf'), (t) =>
  runMatrix(t, 'mosquitto', mosquitto),
)
