import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type AuditLog, Retention, verifyLog } from '#audit'
import { LogReader } from '../../../audit/reading/reader.js'
import { readMinimum } from '../../../audit/retention/minimum.js'
import { bundlePath, decodeBundle } from '../../../audit/tree/tiles.js'
import { seeded } from '../../seeded.js'
import { appendMany, createWorld, type World } from '../world.js'
import { sequencesOf } from './world.js'

/** More with `TOUCHMARK_PRUNE_KILLS`. */
const kills = Number(process.env['TOUCHMARK_PRUNE_KILLS'] ?? 8)
const bundles = 100
const retain = { bytes: 100_000 }

test(`after kill -9 while it forgets, ${kills} times, what was to go is gone or whole, the log verifies, and the next look ends it`, async (context) => {
  const world = await createFullWorld(context)
  const random = seeded(kills)
  const left: number[] = []
  for (let kill = 0; kill < kills; kill++) {
    const directory = join(world.directory, `killed-${kill}`)
    await cp(join(world.directory, 'full'), directory, { recursive: true })
    await pruneUntilKilled(world, directory, random)

    const before = await verifyLog(directory, world.verifierKey)
    assert.deepEqual([before.ok, before.firstBad], [true, undefined], `kill ${kill}`)
    const minimum = (await readMinimum(directory))?.index ?? 0
    const there = requireWhole(directory, minimum)
    assert.equal(before.gone, minimum - there * 256)
    left.push(there)

    const log = await world.open({ directory })
    const { latest } = await look(log)
    assert.ok(latest && latest.minimumIndex > 0 && latest.prunable === undefined)
    assert.equal(bundlesOf(directory)[0], latest.minimumIndex / 256)
    const reader = new LogReader(directory)
    const kept = await sequencesOf(reader.forward(await reader.first(), log.durable))
    assert.deepEqual([kept[0], kept.at(-1)], [latest.minimumIndex, log.durable])
    await log.close()
    const after = await verifyLog(directory, log.verifierKey)
    assert.deepEqual([after.ok, after.gone, after.size], [true, latest.minimumIndex, log.size])
  }
  const midway = left.filter((count) => count > 0).length
  context.diagnostic(`${midway} of ${kills} kills while bundles went; ${left.join(' ')} of them were left`)
  assert.ok(midway > 0)
})

/** A log whose bundles are of no use to its write-ahead log, in `full/`. */
async function createFullWorld(context: TestContext): Promise<World & { readonly verifierKey: string }> {
  const world = await createWorld(context)
  const directory = join(world.directory, 'full')
  let verifierKey = ''
  for (const count of [bundles * 256, 300, 0]) {
    const log = await world.open({ directory })
    if (count > 0) await appendMany(log, count)
    await log.close()
    verifierKey = log.verifierKey
  }
  return { ...world, verifierKey }
}

/** Before anything goes, or as soon as so many bundles have gone. */
async function pruneUntilKilled(
  { signingKey }: World,
  directory: string,
  random: (below: number) => number,
): Promise<void> {
  const program = new URL('./pruning-child.js', import.meta.url).pathname
  const pem = signingKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  const child = spawn(process.execPath, [program, directory, pem, `${retain.bytes}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  await once(child.stdout, 'data')
  if (random(4) === 0) await turns(random(30))
  else await untilLeft(child, directory, random(bundles))
  child.kill('SIGKILL')
  await ended
}

async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left--) await new Promise(setImmediate)
}

async function untilLeft(child: ChildProcess, directory: string, count: number): Promise<void> {
  while (child.exitCode === null && bundlesOf(directory).length > count) await turns(1)
}

/** @returns how many bundles are still there below the minimum index */
function requireWhole(directory: string, minimum: number): number {
  const below = bundlesOf(directory).filter((index) => index * 256 < minimum)
  for (const index of below) {
    const path = bundlePath(index)
    assert.equal(decodeBundle(readFileSync(join(directory, 'log', path)), 256, path).length, 256)
  }
  return below.length
}

function bundlesOf(directory: string): readonly number[] {
  const names = readdirSync(join(directory, 'log', 'tile', 'entries'))
  return names
    .filter((name) => /^\d{3}$/.test(name))
    .map(Number)
    .sort((one, other) => one - other)
}

async function look(log: AuditLog): Promise<Retention> {
  const retention = new Retention({
    ...{ log, retain, now: Date.now, warn: assert.fail },
    release: () => Promise.resolve(),
  })
  await retention.look()
  return retention
}
