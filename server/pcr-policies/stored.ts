import {
  boolean,
  decodeJson,
  encodeJson,
  integer,
  object,
  type OperatorFacts,
  type OperatorName,
  optional,
  parsed,
  parseOperatorName,
  text,
} from '#protocol'
import type { Store } from '#store'
import { ServerError } from '../errors.js'

/** One version of a PCR policy, as it is kept. */
export interface StoredPcrPolicy {
  readonly name: string
  readonly version: number
  /** As it was written; of a removal, what was removed. */
  readonly source: string
  readonly removed: boolean
  /** Milliseconds since 1970. */
  readonly since: number
  readonly operator: OperatorName
  readonly comment?: string
}

const prefix = 'server/pcr-policy/'
const whole = integer(0, Number.MAX_SAFE_INTEGER)
const decode = object({
  name: text(64),
  version: whole,
  source: text(1_000_000),
  removed: boolean,
  since: whole,
  operator: parsed(parseOperatorName),
  comment: optional(text(1024)),
})

/** The newest version of each name there ever was. @throws ServerError PCR_POLICY_UNREADABLE */
export async function readNewest(store: Store): Promise<Map<string, StoredPcrPolicy>> {
  const newest = new Map<string, StoredPcrPolicy>()
  for await (const [key, value] of store.entries(prefix)) {
    const stored = read(key, value)
    if ((newest.get(stored.name)?.version ?? 0) < stored.version) newest.set(stored.name, stored)
  }
  return newest
}

/** @throws StoreError */
export async function keep(store: Store, stored: StoredPcrPolicy): Promise<void> {
  const key = `${prefix}${stored.name}/${String(stored.version).padStart(16, '0')}`
  await store.commit({ puts: [[key, new TextEncoder().encode(encodeJson(stored))]] })
}

export function nextVersion(
  { name, version }: Pick<StoredPcrPolicy, 'name' | 'version'>,
  change: Pick<StoredPcrPolicy, 'source' | 'removed'>,
  { operator, comment }: OperatorFacts,
  now: number,
): StoredPcrPolicy {
  return { name, version: version + 1, ...change, since: now, operator, ...(comment !== undefined && { comment }) }
}

/** A row that cannot be read may be the one that enforces: nothing starts as if it were not there. */
function read(key: string, value: Uint8Array): StoredPcrPolicy {
  try {
    return decodeJson(new TextDecoder().decode(value), decode, key)
  } catch (cause) {
    throw new ServerError('PCR_POLICY_UNREADABLE', `the stored PCR policy ${key} cannot be read`, { cause })
  }
}
