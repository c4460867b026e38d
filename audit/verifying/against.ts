import { encodeHex } from '#protocol'
import { isConsistent, proveConsistency } from '../proof/consistency.js'
import { rootOfRange, TileNodes } from '../proof/nodes.js'
import { type TreeHead, verifyCheckpoint } from '../tree/checkpoint.js'

/** What an older checkpoint, kept outside the host, says about the log as it is now. */
export interface Comparison {
  readonly outcome:
    | 'prefix' //    the log still begins with what was signed then
    | 'fork' //      it does not: two histories were signed
    | 'rollback' //  it is shorter now than it was then
    | 'untrusted' // that checkpoint is not one that the owner of the key signed
    | 'undecided' // the log is damaged itself, so nothing can be said of its past
  /** In words. */
  readonly what: string
  /** How many records that checkpoint covers. */
  readonly size?: number
}

/** @param present the log's own checkpoint; undefined when it does not hold */
export async function compareWith(
  older: string,
  present: TreeHead | undefined,
  directory: string,
  verifierKeys: readonly string[],
): Promise<Comparison> {
  const head = openOlder(older, verifierKeys)
  if ('outcome' in head) return head
  const { size } = head
  const was = `the checkpoint held against it covers ${size} records`
  if (!present) return { outcome: 'undecided', size, what: `${was}; the log does not hold together by itself` }
  if (size > present.size) {
    const gone = `${was}, the log only ${present.size}: the newest were taken away, or an older copy was put back`
    return { outcome: 'rollback', size, what: gone }
  }
  const { read } = new TileNodes(directory)
  const proof = await proveConsistency(size, present.size, read)
  if (isConsistent(head, present, proof)) {
    return { outcome: 'prefix', size, what: `${was}; the log begins with just these` }
  }
  const roots = `${was} with root ${encodeHex(head.root)}`
  const now = size === 0 ? 'none' : encodeHex(Buffer.from(await rootOfRange(0, size, read), 'latin1'))
  return {
    outcome: 'fork',
    size,
    what: `${roots}; the log as it is now had ${now} at that size: two histories were signed`,
  }
}

function openOlder(older: string, verifierKeys: readonly string[]): TreeHead | Comparison {
  try {
    return verifyCheckpoint(older, ...verifierKeys)
  } catch (error) {
    return { outcome: 'untrusted', what: error instanceof Error ? error.message : 'unreadable' }
  }
}
