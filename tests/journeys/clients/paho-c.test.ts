import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { needs } from '../../needs.js'
import { runForeign, temporaryFolder } from '../world.js'
import { runMatrix } from './matrix.js'
import { pahoC, pahoFiles } from './paho.js'

test('Eclipse Paho for C', needs('gcc', pahoFiles.c), async (t) => {
  const program = join(temporaryFolder(t), 'paho_client')
  const source = 'tests/data/clients/paho_client.c'
  const compiled = await runForeign('gcc', ['-o', program, source, '-lpaho-mqtt3cs'], { timeout: 60_000 })
  assert.equal(compiled.exitCode, 0, compiled.stderr)
  await runMatrix(t, 'Eclipse Paho for C', pahoC(program))
})
