import test from 'node:test'
import { runMatrix } from './matrix.js'
import { mqttJs } from './mqttjs.js'

test('mqtt.js', (t) => runMatrix(t, 'mqtt.js', mqttJs))
