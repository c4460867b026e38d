import { createHash } from 'node:crypto'
import { algorithmIds, type HashName } from './algorithms.js'
import { TpmWriter } from './codec.js'
import { encodePublic, type TpmPublic } from './public-area.js'

/** The hierarchies' permanent handles (Part 2 table 31). */
export const hierarchies = { owner: 0x40000001, null: 0x40000007, endorsement: 0x4000000b } as const

export type HierarchyName = keyof typeof hierarchies

/** The Name of an object: nameAlg ‖ H(TPMT_PUBLIC) (Part 1 §16). Equal Names are equal keys with equal attributes. */
export function nameOf(area: TpmPublic): Uint8Array {
  return named(area.nameAlg, encodePublic(area))
}

/**
 * nameAlg ‖ H(qualified name of the parent ‖ Name) (Part 1 §26.5): says under which keys and hierarchy the object stands.
 * For a primary the parent is a hierarchy, whose name is its handle.
 */
export function qualifiedNameOf(area: TpmPublic, parent: HierarchyName | Uint8Array): Uint8Array {
  const above = typeof parent === 'string' ? hierarchyName(parent) : parent
  return named(area.nameAlg, above, nameOf(area))
}

function hierarchyName(hierarchy: HierarchyName): Uint8Array {
  return new TpmWriter().uint32(hierarchies[hierarchy]).encoded()
}

function named(hash: HashName, ...parts: readonly Uint8Array[]): Uint8Array {
  const digest = createHash(hash)
  for (const part of parts) digest.update(part)
  return new TpmWriter().uint16(algorithmIds[hash]).bytes(digest.digest()).encoded()
}
