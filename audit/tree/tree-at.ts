import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AuditError } from '../errors.js'
import { layout } from '../layout.js'
import type { TreeHead } from './checkpoint.js'
import { Frontier, type Hash, hashBytes } from './merkle.js'
import { TiledTree } from './tiled-tree.js'
import { hashesOf, partialWidth, tilePath, tileWidth } from './tiles.js'

/**
 * A tree of whole bundles. Each hash of its incomplete tiles is the root of a complete tile one level below; partial files
 * would have them too, and nobody ever syncs those.
 * @throws AuditError AUDIT_CORRUPT
 */
export async function treeAt(directory: string, size: number): Promise<TiledTree> {
  const tiles: (readonly Hash[])[] = [[]]
  for (let level = 1; size >= tileWidth ** level; level++) {
    const end = Math.floor(size / tileWidth ** level)
    const hashes: Hash[] = []
    for (let index = end - partialWidth(size, level); index < end; index++) {
      hashes.push(await rootOfTile(directory, tilePath(level - 1, index)))
    }
    tiles.push(hashes)
  }
  return new TiledTree({ size, entries: [], tiles })
}

async function rootOfTile(directory: string, path: string): Promise<Hash> {
  const tile = await readFile(join(layout.log(directory), path)).catch(missing(path))
  if (tile.length !== tileWidth * hashBytes) throw corrupt(`${path} does not hold ${tileWidth} hashes`)
  const frontier = new Frontier()
  for (const hash of hashesOf(tile)) frontier.append(hash)
  return frontier.root()
}

/** @throws AuditError AUDIT_CORRUPT */
export function requireRoot(tree: TiledTree, { size, root }: TreeHead): void {
  if (Buffer.from(root).equals(tree.root())) return
  throw corrupt(`tiles and records do not have the root of the checkpoint of size ${size}`)
}

function missing(path: string): (cause: unknown) => never {
  return (cause) => {
    throw new AuditError('AUDIT_CORRUPT', `cannot read ${path}`, { cause })
  }
}

function corrupt(problem: string): AuditError {
  return new AuditError('AUDIT_CORRUPT', problem)
}
