import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import test from 'node:test'
import Fastify from 'fastify'
import { EnrollmentError } from '#enrollment'
import type { Problem } from '#protocol'
import { RegistryError } from '#registry'
import { answerProblem } from '../../server/http/problems.js'

/** What comes of an error that a request ends in: the answer, and the lines in the log that call it a failure. */
async function resultOf(error: Error) {
  const lines: string[] = []
  const stream = new Writable({
    write(line, _encoding, done) {
      lines.push(String(line))
      done()
    },
  })
  const app = Fastify({ logger: { level: 'info', stream } })
  app.setErrorHandler(answerProblem)
  app.get('/', async () => Promise.reject(error))
  const { statusCode, headers, json } = await app.inject('/')
  await app.close()
  const { code } = json<Problem>()
  return {
    statusCode,
    code,
    retryAfter: headers['retry-after'],
    failures: lines.filter((line) => line.includes('http.failed')),
  }
}

test('to be told to come again is an answer by design, and no failure in the log', async () => {
  for (const code of ['BUSY', 'EVIDENCE_OVERTAKEN'] as const) {
    const { statusCode, retryAfter, failures, ...answered } = await resultOf(new EnrollmentError(code, 'come again'))
    assert.deepEqual([statusCode, answered.code, retryAfter], [503, code, '2'])
    assert.deepEqual(failures, [])
  }
})

test('what went wrong here is in the log with its cause, whatever the caller is told', async () => {
  const failed = await resultOf(new RegistryError('REGISTRY_FAILED', 'the disk is gone'))
  assert.deepEqual([failed.statusCode, failed.code, failed.failures.length], [503, 'REGISTRY_FAILED', 1])
  const unknown = await resultOf(new TypeError('a secret of the code'))
  assert.deepEqual([unknown.statusCode, unknown.code, unknown.failures.length], [500, 'INTERNAL', 1])
  assert.match(unknown.failures[0] ?? '', /a secret of the code/)
})
