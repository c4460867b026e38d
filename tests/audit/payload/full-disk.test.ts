import assert from 'node:assert/strict'
import { mkdir, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseOperatorName } from '#protocol'
import { createPayloadWorld, said, today } from './world.js'

const operator = parseOperatorName('ada')

/* /dev/full stands for a disk without room: every write to it ends in ENOSPC. */

test('where there is no room for payloads their records are written and say so, and what comes later is kept', async (context) => {
  const world = await createPayloadWorld(context)
  const log = await world.openWith({ mode: 'store' })
  const folder = join(world.directory, 'payload', today)
  await mkdir(folder, { recursive: true })
  await symlink('/dev/full', join(folder, '0000000000000000.seg'))
  await log.whenDurable(log.append(...said('nobody keeps this')))
  await log.whenDurable(log.append({ event: 'policy.refuse', reason: 'what operators do', operator }))
  const records = []
  for await (const record of log.records(0)) records.push(record)
  const told = records.find(({ event }) => event === 'log.failover')
  assert.match(String(told && 'comment' in told && told.comment), /ENOSPC.*payloads of the last batch are not kept/)
  const archive = world.archiveOf(log)
  assert.ok((await archive.disclose(0)).blinding)

  await rm(join(folder, '0000000000000000.seg'))
  await assert.rejects(archive.read(0), { code: 'PAYLOAD_UNKNOWN' })
  while (log.room === 'full') await new Promise(setImmediate)
  const sequence = log.append(...said('this is kept'))
  await log.whenDurable(sequence)
  assert.equal((await archive.read(sequence)).toString(), 'this is kept')
})

test('a new key for which there is no room is kept as soon as there is', async (context) => {
  const world = await createPayloadWorld(context)
  const log = await world.openWith({})
  await log.whenDurable(log.append(...said('x')))
  await log.close()
  const keys = join(world.directory, 'payload', today, 'keys')
  await rm(keys)
  await symlink('/dev/full', keys)
  const full = await world.openWith({})
  await full.whenDurable(full.append(...said('y')))
  assert.equal(full.healthy, true)
  await assert.rejects(
    full.erasePayloadKeys({ day: 19_675 }),
    { code: 'AUDIT_FAILED' },
    'nor can keys be overwritten there',
  )
})
