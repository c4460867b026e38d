import { AuditError } from '../errors.js'
import { layout } from '../layout.js'
import { readTextFile } from '../text-file.js'
import { tileWidth } from '../tree/tiles.js'

/**
 * The minimum index of C2SP tlog-tiles ("Pruning"): bundles of entries below it may be gone. `log/minimum` is two lines,
 * the index and the number of the `log.retention` record that says the same. The file can be written by anyone who can
 * remove bundles; the record stands in the tree.
 */
export interface Minimum {
  readonly index: number
  readonly record: number
}

export function encodeMinimum({ index, record }: Minimum): Buffer {
  return Buffer.from(`${index}\n${record}\n`)
}

/** @throws AuditError AUDIT_CORRUPT for everything but what was written */
export function parseMinimum(text: string): Minimum {
  const [, index, record] = /^([1-9][0-9]{0,14})\n([1-9][0-9]{0,14})\n$/.exec(text) ?? []
  const minimum = { index: Number(index), record: Number(record) }
  if (minimum.index % tileWidth === 0 && minimum.record >= minimum.index) return minimum
  const problem = 'log/minimum does not name the first record of a bundle and a record behind it'
  throw new AuditError('AUDIT_CORRUPT', problem, { sequence: 0 })
}

/** Undefined where nothing was ever removed. @throws AuditError AUDIT_CORRUPT */
export async function readMinimum(directory: string): Promise<Minimum | undefined> {
  const text = await readTextFile(layout.minimum(directory), 'log/minimum')
  return text === undefined ? undefined : parseMinimum(text)
}
