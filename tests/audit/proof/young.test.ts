import assert from 'node:assert/strict'
import { test } from 'node:test'
import { verifyRecordProof } from '#audit'
import { createFaultyDisk } from '../faulty-disk.js'
import { createWorld, inThisThread, published } from '../world.js'

test('a record is proven however young it is: the proof waits for the next checkpoint', async (context) => {
  const world = await createWorld(context)
  const log = await world.open()
  for (let round = 0; round < 3; round++) {
    const sequence = log.append(published(round))
    const { record } = verifyRecordProof(await log.prove(sequence), [log.verifierKey])
    assert.equal(record.sequence, sequence)
  }
  await assert.rejects(log.prove(log.size), { code: 'RECORD_UNKNOWN' }, 'nobody waits for what nobody has appended')
})

test('where no checkpoint can be made a proof is given up, and says why', async (context) => {
  const world = await createWorld(context)
  const disk = createFaultyDisk()
  disk.free = 200_000
  const log = await world.open({ connectWriter: inThisThread(disk) })
  const fill = async (): Promise<void> => {
    for (;;) await log.whenDurable(log.append(published(0)))
  }
  await assert.rejects(fill(), { code: 'AUDIT_FULL' })
  const sequence = log.append({ event: 'server.stop' })
  await log.whenDurable(sequence)

  context.mock.timers.enable({ apis: ['setTimeout'] })
  const proof = log.prove(sequence)
  context.mock.timers.tick(5000)
  await assert.rejects(proof, { code: 'RECORD_UNCOVERED', message: /disk is full/ })
  context.mock.timers.reset()
  disk.free = Infinity
  const { record } = verifyRecordProof(await log.prove(sequence), [log.verifierKey])
  assert.equal(record.event, 'server.stop')
})
