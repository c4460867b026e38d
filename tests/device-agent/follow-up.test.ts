import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { nodeDisk } from '../../device-agent/disk.js'
import { FollowUp, type FollowUpOptions } from '../../device-agent/follow-up.js'
import { issuedGeneration } from './issued-generation.js'
import { temporaryFolder } from './temporary-folder.js'

const [first, second] = await Promise.all([issuedGeneration(), issuedGeneration()])

/** One that sleeps until the test wakes it, and tells what it reports. */
function openFollowUp(context: TestContext, wants: (folder: string) => Partial<FollowUpOptions>) {
  const folder = temporaryFolder(context)
  const reports: (readonly string[])[] = []
  const changes: (() => void)[] = []
  const wakes: (() => void)[] = []
  const waits: number[] = []
  const stopping = new AbortController()
  const changed = (): void => {
    for (const look of changes.splice(0)) look()
  }
  const open = (): FollowUp =>
    new FollowUp({
      ...{ outputs: [], hooks: [], folder, disk: nodeDisk, random: () => 0, environment: process.env },
      stopped: stopping.signal,
      log: () => undefined,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          waits.push(ms)
          wakes.push(resolve)
          signal.addEventListener('abort', () => resolve())
          changed()
        }),
      report: (problems) => {
        reports.push(problems)
        changed()
        return Promise.resolve()
      },
      ...wants(folder),
    })
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) await new Promise<void>((resolve) => changes.push(resolve))
  }
  const wake = (): void => wakes.splice(0).forEach((resolve) => resolve())
  return { folder, open, reports, waits, until, wake, stop: () => stopping.abort() }
}

const touch = (folder: string) =>
  ({ kind: 'run', command: ['sh', '-c', `cat ${folder}/pem/cert.pem >> ${folder}/told`], timeoutSeconds: 60 }) as const

test('other programs get a certificate before they are told of it, once, also over a restart', async (context) => {
  const world = openFollowUp(context, (folder) => ({
    outputs: [{ kind: 'pem', folder: join(folder, 'pem'), withoutKey: false }],
    hooks: [touch(folder)],
  }))
  for (const generation of [first, first, second]) {
    const followUp = world.open()
    followUp.proven(generation)
    followUp.proven(generation) // as after each connection that was lost
    await followUp.ended()
  }
  const told = readFileSync(join(world.folder, 'told'), 'utf8')
  assert.equal(told, first.certificateChain + second.certificateChain)
  assert.deepEqual(world.reports, [[], []])
})

test('what fails is told, and done again later and later until it works', async (context) => {
  const world = openFollowUp(context, (folder) => ({ hooks: [touch(folder)] }))
  const followUp = world.open()
  followUp.proven(first)
  await world.until(() => world.waits.length === 1)
  assert.match(world.reports[0]?.[0] ?? '', /sh ended with exit code/)
  world.wake()
  await world.until(() => world.waits.length === 2)
  mkdirSync(join(world.folder, 'pem'))
  await nodeDisk.write(join(world.folder, 'pem', 'cert.pem'), 'now')
  world.wake()
  await followUp.ended()
  assert.deepEqual(world.reports.at(-1), [])
  assert.deepEqual(world.waits, [5_000, 10_000])
})

test('what waits to be done again gives way to the next certificate', async (context) => {
  const world = openFollowUp(context, (folder) => ({
    outputs: [{ kind: 'pem', folder: join(folder, 'pem'), withoutKey: false, owner: 'nobody-here' }],
  }))
  const followUp = world.open()
  followUp.proven(first)
  await world.until(() => world.waits.length === 1)
  followUp.proven(second)
  await world.until(() => world.waits.length === 2)
  world.stop()
  await followUp.ended()
  assert.equal(world.reports.length, 2)
})

test('an agent that is stopped does not wait for a hook that hangs', async (context) => {
  const world = openFollowUp(context, (folder) => ({
    hooks: [{ kind: 'run', command: ['sh', '-c', `touch ${folder}/begun; sleep 1000`], timeoutSeconds: 3600 }],
  }))
  const followUp = world.open()
  followUp.proven(first)
  while (!existsSync(join(world.folder, 'begun'))) await new Promise((resolve) => setImmediate(resolve))
  world.stop()
  await followUp.ended()
  assert.deepEqual(world.reports, [])
})
