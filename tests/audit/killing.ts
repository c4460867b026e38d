import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { AuditLog, verifyLog } from '#audit'
import { encodeEntry } from '../../audit/entries/write-entry.js'
import { verifyCheckpoint } from '../../audit/tree/checkpoint.js'
import { Frontier, hashLeaf } from '../../audit/tree/merkle.js'
import type { World } from './world.js'

/** What a process that appended said before it ended. */
export interface Heard {
  /** Session indexes of the records that it called durable, by their place. */
  readonly durable: Map<number, number>
  /** Checkpoints that it showed. */
  readonly checkpoints: Set<string>
}

export function nothingHeard(): Heard {
  return { durable: new Map(), checkpoints: new Set() }
}

/** Runs the process that appends without end, and kills it when it has said so many lines and then so many turns have passed. */
export async function appendUntilKilled(
  world: World,
  heard: Heard,
  {
    lines,
    turns = 0,
    firstIndex = 0,
  }: { readonly lines: number; readonly turns?: number; readonly firstIndex?: number },
): Promise<void> {
  const child = appending(world, { firstIndex })
  let count = 0
  for await (const line of createInterface(child.stdout)) {
    listen(heard, line)
    if (++count !== lines) continue
    for (let left = turns; left > 0; left--) await new Promise((resolve) => setImmediate(resolve))
    child.kill('SIGKILL')
  }
}

/** `fileBlocks` bounds the size of any file it writes, in units of 512 or 1024 bytes. */
function appending(
  { directory, signingKey }: World,
  { firstIndex = 0, fileBlocks }: { readonly firstIndex?: number; readonly fileBlocks?: number } = {},
) {
  const program = new URL('./appending-child.js', import.meta.url).pathname
  const limit = fileBlocks === undefined ? '' : `ulimit -f ${fileBlocks};`
  const pem = signingKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  const args = [process.execPath, program, directory, pem, `${firstIndex}`]
  return spawn('sh', ['-c', `${limit} exec "$@"`, 'sh', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
}

export function listen({ durable, checkpoints }: Heard, line: string): void {
  const [word = '', value = ''] = line.split(' ')
  if (word === 'checkpoint') checkpoints.add(Buffer.from(value, 'base64').toString())
  else if (word !== 'opening') durable.set(Number(word), Number(value))
}

/** Opens the log: it has no gaps, holds all that was heard, begins with every checkpoint that was shown, and verifies. */
export async function requireAll(world: World, { durable, checkpoints }: Heard): Promise<void> {
  const log = await world.open()
  await requirePrefixes(log, checkpoints)
  const missing = new Map(durable)
  let next = 0
  for await (const record of log.records(0)) {
    assert.equal(record.sequence, next++)
    if ('sessionIndex' in record && durable.get(record.sequence) === record.sessionIndex)
      missing.delete(record.sequence)
  }
  assert.deepEqual([...missing], [])
  await log.close()
  const report = await verifyLog(world.directory, log.verifierKey)
  assert.deepEqual([report.ok, report.size, report.firstBad], [true, log.size, undefined])
}

/** Every checkpoint that was ever shown must be of a beginning of the log as it is now. */
export async function requirePrefixes(
  log: Pick<AuditLog, 'records' | 'verifierKey'>,
  checkpoints: Iterable<string>,
): Promise<void> {
  const heads = [...checkpoints].map((note) => verifyCheckpoint(note, log.verifierKey))
  const bySize = heads.sort((one, other) => one.size - other.size)
  const tree = new Frontier()
  const requireRoots = (size: number): void => {
    for (let [head] = bySize; head?.size === size; [head] = bySize) {
      assert.equal(hex(head.root), hex(Buffer.from(tree.root(), 'latin1')), `the root of the first ${size} records`)
      bySize.shift()
    }
  }
  requireRoots(0)
  for await (const { sequence, time, ...event } of log.records(0)) {
    tree.append(hashLeaf(encodeEntry({ sequence, time }, event)))
    requireRoots(sequence + 1)
  }
  assert.deepEqual(bySize, [], 'checkpoints that are larger than the log')
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
