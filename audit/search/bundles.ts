import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AuditError } from '../errors.js'
import { layout } from '../layout.js'
import { readMinimum } from '../retention/minimum.js'
import { bundlePath, entriesOf, tileWidth } from '../tree/tiles.js'
import { orNothing } from '../or-nothing.js'

/**
 * The complete bundles of a log, read at once and not by and by: for the thread that does nothing else. No file of them
 * ever changes; the oldest may have been dropped.
 */
export class Bundles {
  readonly #directory: string
  readonly #folder: string

  constructor(directory: string) {
    this.#directory = directory
    this.#folder = layout.log(directory)
  }

  /** Undefined where the file is missing. */
  read(index: number): Buffer | undefined {
    try {
      return readFileSync(join(this.#folder, bundlePath(index)))
    } catch (error) {
      return orNothing(undefined)(error)
    }
  }

  /** The oldest bundle that is kept, whatever of older ones a crash has left. @throws AuditError AUDIT_CORRUPT */
  async first(): Promise<number> {
    return ((await readMinimum(this.#directory))?.index ?? 0) / tileWidth
  }
}

/** The entries that hold all the needles. @throws AuditError AUDIT_CORRUPT */
export function* entriesWith(
  bundle: Buffer,
  index: number,
  needles: readonly Buffer[],
): Iterable<readonly [place: number, entry: Uint8Array]> {
  const found = needles.map((needle) => bundle.indexOf(needle))
  if (found.includes(-1)) return
  for (const [place, entry] of requireEntries(bundle, index).entries()) {
    const begin = entry.byteOffset - bundle.byteOffset
    const holdsAll = needles.every((needle, at) => {
      let next = found[at] ?? -1
      if (next >= 0 && next < begin) found[at] = next = bundle.indexOf(needle, begin)
      return next >= 0 && next + needle.length <= begin + entry.length
    })
    if (holdsAll) yield [place, entry]
  }
}

/** @throws AuditError AUDIT_CORRUPT */
export function requireEntries(bundle: Uint8Array, index: number): readonly Uint8Array[] {
  const entries = [...entriesOf(bundle)]
  if (entries.length === tileWidth) return entries
  const sequence = index * tileWidth + entries.length
  throw new AuditError('AUDIT_CORRUPT', `${bundlePath(index)} is damaged at record ${sequence}`, { sequence })
}
