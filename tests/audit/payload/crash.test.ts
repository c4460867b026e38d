import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { verifyLog } from '#audit'
import { commitmentOf } from '../../../audit/payload/day-key.js'
import { createPayloadWorld } from './world.js'

test('after kill -9 every payload that was acknowledged is there, and is proved by its record', async (context) => {
  const world = await createPayloadWorld(context)
  for (let round = 0; round < 4; round++) {
    const pem = world.signingKey.export({ format: 'pem', type: 'pkcs8' }).toString()
    const program = new URL('./storing-child.js', import.meta.url).pathname
    const child = spawn(process.execPath, [program, world.directory, world.keyFolder, pem, String(round)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const acknowledged = new Map<number, string>()
    for await (const line of createInterface(child.stdout)) {
      const [sequence = '', text = ''] = line.split(' ')
      acknowledged.set(Number(sequence), text)
      if (acknowledged.size === 1 + 300 * round) child.kill('SIGKILL')
    }
    const log = await world.openWith({ mode: 'store' })
    const archive = world.archiveOf(log)
    for (const [sequence, text] of acknowledged) {
      assert.equal((await archive.read(sequence)).toString(), text)
      const { record, blinding } = await archive.disclose(sequence)
      assert.deepEqual(commitmentOf(blinding, Buffer.from(text)), Buffer.from(record.payloadCommitment))
    }
    await log.close()
    assert.ok((await verifyLog(world.directory, log.verifierKey)).ok)
  }
})
