import test from 'node:test'
import { needs } from '../../needs.js'
import { runMatrix } from './matrix.js'
import { pahoFiles, pahoPython } from './paho.js'

test('Eclipse Paho for Python', needs('/usr/bin/python3', pahoFiles.python), (t) =>
  runMatrix(t, 'Eclipse Paho for Python', pahoPython),
)
