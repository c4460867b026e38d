import assert from 'node:assert/strict'
import { mkdir, rm, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseOperatorName } from '#protocol'
import { payloadLayout } from '../../../audit/payload/files.js'
import { createPayloadWorld, dayMilliseconds, said, today, todayNumber } from './world.js'

const operator = parseOperatorName('ada')

/* /dev/full stands for a disk without room: every write to it ends in ENOSPC. */

test('where there is no room for payloads their records are written and say so, and what comes later is kept', async (context) => {
  const world = await createPayloadWorld(context)
  const log = await world.openWith({ mode: 'store' })
  const folder = join(world.directory, 'payload', today)
  await mkdir(folder, { recursive: true })
  await symlink('/dev/full', join(folder, '0000000000000000.seg'))
  await log.whenDurable(log.append(...said('nobody keeps this')))
  await log.whenDurable(
    log.append({ event: 'policy.refuse', reason: 'REFUSED', problem: 'what operators do', operator }),
  )
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

test('a day that begins on a full disk: no message is taken, what operators do is recorded, and its keys are kept when there is room', async (context) => {
  const world = await createPayloadWorld(context)
  let clock = todayNumber * dayMilliseconds
  const log = await world.openWith({}, { now: () => clock })
  await log.whenDurable(log.append(...said('x')))
  clock += dayMilliseconds
  const wrappingKey = payloadLayout.wrappingKey(world.keyFolder, todayNumber + 1)
  await symlink('/dev/full', `${wrappingKey}.new`)

  const onItsWay = log.append(...said('nobody knew yet that it is full'))
  await log.whenDurable(onItsWay)
  assert.throws(() => log.append(...said('x')), { code: 'AUDIT_FULL' })
  const refused = log.append({ event: 'policy.refuse', reason: 'REFUSED', problem: 'what operators do', operator })
  await log.whenDurable(refused)
  assert.deepEqual([log.healthy, log.room], [true, 'full'])
  await assert.rejects(stat(wrappingKey), { code: 'ENOENT' })

  await rm(`${wrappingKey}.new`)
  while (log.room === 'full') await new Promise(setImmediate)
  assert.ok((await world.archiveOf(log).disclose(onItsWay)).blinding)
  const again = log.append(...said('there is room'))
  await log.whenDurable(again)
  await log.close()
  const reopened = await world.openWith({}, { now: () => clock })
  for (const sequence of [onItsWay, again]) assert.ok((await world.archiveOf(reopened).disclose(sequence)).blinding)
})
