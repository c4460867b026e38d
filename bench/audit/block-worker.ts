import { TiledTree } from '../../audit/tree/tiled-tree.js'

/*
 * The writer's thread of a log whose leaves are blocks: the same in everything but that its tree gets one leaf for many
 * records. It is there to be measured; nothing could read such a log.
 */

const most = { records: 250, bytes: 60 * 1024 }

const appendLeaf = Reflect.get(TiledTree.prototype, 'append')
let block: Uint8Array[] = []
let bytes = 0

TiledTree.prototype.append = function (entry) {
  if (block.length === most.records || bytes + entry.length > most.bytes) {
    appendLeaf.call(this, Buffer.concat(block, bytes))
    block = []
    bytes = 0
  }
  block.push(entry)
  bytes += entry.length
}

await import('../../audit/writing/worker.js')
