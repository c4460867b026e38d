import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { verifyLog } from '#audit'
import { createWorld, type World } from './world.js'

test('after kill -9 everything acknowledged is in the log, again and again', async (context) => {
  const world = await createWorld(context)
  for (let round = 0; round < 5; round++) {
    const child = appending(world)
    let acknowledged = -1
    let heard = 0
    for await (const line of createInterface(child.stdout)) {
      acknowledged = Number(line)
      if (++heard === 1 + 700 * round) child.kill('SIGKILL')
    }
    await requireRecords(world, acknowledged)
  }
})

test('a disk that takes no more bytes ends the log with AUDIT_FAILED; nothing acknowledged is lost', async (context) => {
  const world = await createWorld(context)
  const child = appending(world, { fileBlocks: 100 })
  const errors = text(child.stderr)
  let acknowledged = -1
  for await (const line of createInterface(child.stdout)) acknowledged = Number(line)
  if (child.exitCode === null) await once(child, 'close')
  assert.match(await errors, /AUDIT_FAILED|AUDIT_CLOSED/)
  assert.ok(acknowledged > 0)
  await requireRecords(world, acknowledged)
})

async function requireRecords(world: World, acknowledged: number): Promise<void> {
  const log = await world.open()
  assert.ok(log.size > acknowledged, `${acknowledged} was acknowledged, the log ends with ${log.size - 1}`)
  let next = 0
  for await (const { sequence } of log.records(0)) assert.equal(sequence, next++)
  await log.close()
  const report = await verifyLog(world.directory, log.verifierKey)
  assert.deepEqual(
    { ok: report.ok, size: report.size, firstBad: report.firstBad },
    { ok: true, size: log.size, firstBad: undefined },
  )
}

/** `fileBlocks` bounds the size of any file it writes, in units of 512 or 1024 bytes: the shell's stand-in for a full disk. */
function appending({ directory, signingKey }: World, { fileBlocks }: { fileBlocks?: number } = {}) {
  const program = new URL('./appending-child.js', import.meta.url).pathname
  const limit = fileBlocks === undefined ? '' : `ulimit -f ${fileBlocks};`
  const pem = signingKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  return spawn('sh', ['-c', `${limit} exec "$@"`, 'sh', process.execPath, program, directory, pem], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}
