import { TpmError } from '../errors.js'
import { FirmwareReader } from './reader.js'

const maxNodes = 32
const endOfPath = 0x7f

/**
 * Where a loaded image came from: the device path of a UEFI_IMAGE_LOAD_EVENT (§10.2.3), much as the UEFI shell would write
 * it. Undefined where the data is something else.
 */
export function imagePath(data: Uint8Array): string | undefined {
  try {
    const reader = new FirmwareReader(data)
    reader.bytes(24) // where it was in memory, its length, its link-time address
    return nodesOf(new FirmwareReader(reader.bytes(reader.uint64()))).join('/')
  } catch (error) {
    if (error instanceof TpmError) return undefined
    throw error
  }
}

/** UEFI 2.10 §10.3. */
function nodesOf(reader: FirmwareReader): readonly string[] {
  const nodes: string[] = []
  while (!reader.isAtEnd && nodes.length < maxNodes) {
    const type = reader.uint8()
    const subType = reader.uint8()
    const length = reader.uint16()
    if (length < 4) throw new TpmError('STRUCTURE_INVALID', `a device path node of ${length} bytes`)
    const node = new FirmwareReader(reader.bytes(length - 4))
    if (type === endOfPath) break
    nodes.push(sayNode(type, subType, node, length - 4))
  }
  return nodes
}

function sayNode(type: number, subType: number, node: FirmwareReader, length: number): string {
  switch (`${type}.${subType}`) {
    case '1.1': {
      const [pciFunction, device] = [node.uint8(), node.uint8()]
      return `Pci(${device},${pciFunction})`
    }
    case '2.1':
      return `Acpi(${node.uint32().toString(16)},${node.uint32()})`
    case '4.1':
      return `HD(${node.uint32()})`
    case '4.4':
      return node.text16(Math.floor(length / 2)).replace(/\0+$/, '')
    case '4.6':
    case '4.7':
      return `Fv(${node.guid()})`
    default:
      return `Path(${type},${subType})`
  }
}
