import { encodeHex } from '#protocol'
import { AuditError } from '../errors.js'
import { layout } from '../layout.js'
import { readMinimum } from '../retention/minimum.js'
import { requireRecorded } from '../retention/recorded.js'
import { parseVerifierKey, type TreeHead, verifyCheckpoint } from '../tree/checkpoint.js'
import { listSegments, positionBefore, readWal } from '../writing/wal.js'
import { compareWith, type Comparison } from './against.js'
import { damaged, readOrEmpty, requirePlace } from './bundle.js'
import { CheckedTree } from './checked-tree.js'

export interface VerifyReport {
  readonly ok: boolean
  /** How many entries the checkpoint covers. */
  readonly size: number
  /** Lowercase hex; the Merkle root that the checkpoint names. */
  readonly root: string
  /** The first entry that is not what was signed, and what is wrong there; 0 where nothing can be trusted. */
  readonly firstBad?: { readonly index: number; readonly what: string }
  /** Whole records above the checkpoint: they are there, but nothing signed vouches for them yet. */
  readonly uncovered: number
  /** Of so many of the covered entries, from the first on, retention has left only the hashes: their places are proven, not what they said. */
  readonly gone: number
  /** What each of the older checkpoints says, in their order. */
  readonly against: readonly Comparison[]
}

export interface VerifyOptions {
  /** How many may work at a time. Default: one for each core */
  readonly threads?: number
  /** Called every few thousand entries with how many of the covered ones were checked. */
  readonly onProgress?: (checked: number, size: number) => void
  /** Ends it early: then it rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /** Older checkpoints that were kept outside the host: the log must begin with each of them. Default: none */
  readonly against?: readonly string[]
}

/**
 * Checks a log's folder as a third party would, with nothing but the verifier key (or several, of which any will do): the
 * signature, every entry against its place and its hash, every tile, and the root. Works while the log grows. Damage is
 * in the report, not thrown. That the whole log was replaced, or cut back, shows only `against` what was kept elsewhere.
 * @throws AuditError AUDIT_INVALID for a text that is no verifier key; the signal's reason
 */
export async function verifyLog(
  directory: string,
  verifierKeys: string | readonly string[],
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const keys = [verifierKeys].flat()
  keys.forEach(parseVerifierKey)
  const tree = new CheckedTree(layout.log(directory))
  for (let state = await look(directory); ;) {
    const report = await verifyAt(directory, state, keys, tree, options)
    if (!report.firstBad || tree.isDamaged) return report
    // A newer checkpoint takes the older one's partial files away, and segments: go on, unless nothing has changed.
    const newer = await look(directory)
    if (newer.note === state.note && newer.firstSegment === state.firstSegment) return report
    state = newer
  }
}

/** What changes in the folder of a log that grows. */
interface State {
  readonly note: string
  readonly firstSegment: string
}

async function look(directory: string): Promise<State> {
  const note = readOrEmpty(layout.log(directory), 'checkpoint')
  const [segment] = await listSegments(layout.wal(directory))
  return { note: note.toString(), firstSegment: segment?.name ?? '' }
}

async function verifyAt(
  directory: string,
  { note }: State,
  verifierKeys: readonly string[],
  tree: CheckedTree,
  options: VerifyOptions,
): Promise<VerifyReport> {
  let head: TreeHead | undefined
  let uncovered = 0
  let firstBad: VerifyReport['firstBad']
  try {
    head = verifyHead(note, verifierKeys)
    await tree.growTo(head, options)
    await checkMinimum(directory, head.size)
    uncovered = await countUncovered(layout.wal(directory), head.size)
  } catch (error) {
    if (!(error instanceof AuditError)) throw error
    firstBad = { index: error.sequence ?? 0, what: error.message }
  }
  const against: Comparison[] = []
  for (const older of options.against ?? []) {
    against.push(await compareWith(older, firstBad ? undefined : head, directory, verifierKeys))
  }
  return {
    ok: firstBad === undefined && against.every(({ outcome }) => outcome === 'prefix'),
    size: head?.size ?? 0,
    root: head ? encodeHex(head.root) : '',
    ...(firstBad && { firstBad }),
    uncovered,
    against,
    gone: tree.gone,
  }
}

function verifyHead(note: string, verifierKeys: readonly string[]): TreeHead {
  try {
    return verifyCheckpoint(note, ...verifierKeys)
  } catch (cause) {
    throw damaged(0, `log/checkpoint: ${cause instanceof Error ? cause.message : 'unreadable'}`)
  }
}

/** Nothing but the log itself may say that its records were taken away, under its signature. */
async function checkMinimum(directory: string, covered: number): Promise<void> {
  const minimum = await readMinimum(directory)
  if (!minimum) return
  if (minimum.record >= covered)
    throw damaged(0, `log/minimum names record ${minimum.record}, and the checkpoint covers only ${covered}`)
  await requireRecorded(directory, minimum)
}

/** Records of the write-ahead log must be whole, follow each other, and leave no gap above the checkpoint. */
async function countUncovered(folder: string, covered: number): Promise<number> {
  const start = await positionBefore(folder, covered)
  const [oldest] = start ? [] : await listSegments(folder)
  if (oldest) throw damaged(covered, `wal/${oldest.name} begins after the checkpoint's end`)
  let uncovered = 0
  for await (const { sequence, entry } of readWal(folder, undefined, start)) {
    requirePlace(entry, sequence)
    if (sequence >= covered) uncovered++
  }
  return uncovered
}
