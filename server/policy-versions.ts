import {
  boolean,
  decodeJson,
  encodeJson,
  type Fingerprint,
  integer,
  object,
  type OperatorFacts,
  type OperatorName,
  optional,
  parsed,
  parseFingerprint,
  parseOperatorName,
  text,
} from '#protocol'
import type { Store } from '#store'
import type { CheckedPolicy } from './checked-policy.js'
import { ServerError } from './errors.js'

/** What is kept of a version beside its text. */
export interface PolicyVersion {
  readonly version: number
  /** False while it is about to come into force, and for ever when that failed: its number is taken all the same. */
  readonly cameIntoForce: boolean
  /** Absent, as all that follows, for versions of before such facts were kept. */
  readonly hash?: Fingerprint
  /** How many of its own tests it passed. */
  readonly tests?: number
  /** Milliseconds since 1970. */
  readonly since?: number
  readonly operator?: OperatorName
  readonly peer?: string
  readonly comment?: string
  /** Which earlier version it put back. */
  readonly restores?: number
  /** Place of its `policy.activate` in the audit log. */
  readonly record?: number
}

export type PolicyFacts = Omit<PolicyVersion, 'cameIntoForce'>

const currentKey = 'server/policy/current'
const sourcePrefix = 'server/policy/version/'
const factsPrefix = 'server/policy/facts/'
const digits = (version: number) => String(version).padStart(16, '0')
const sourceKey = (version: number) => `${sourcePrefix}${digits(version)}`
const factsKey = (version: number) => `${factsPrefix}${digits(version)}`

/**
 * Every policy that was ever in force, as it was written, and what is known of it. A version is kept before it comes into
 * force, and becomes the one that the next start begins with only after: a failure between the two changes nothing.
 */
export class PolicyVersions {
  readonly #store: Store
  readonly #known: Map<number, PolicyVersion>
  #current: number | undefined

  private constructor(store: Store, known: Map<number, PolicyVersion>, current: number | undefined) {
    this.#store = store
    this.#known = known
    this.#current = current
  }

  static async open(store: Store): Promise<PolicyVersions> {
    const pointer = await store.get(currentKey)
    const current = pointer && Number(decode(pointer).slice(sourcePrefix.length))
    const known = new Map<number, PolicyVersion>()
    for await (const [key, value] of store.entries(factsPrefix)) {
      const version = Number(key.slice(factsPrefix.length))
      known.set(version, readFacts(version, decode(value)))
    }
    if (current !== undefined && !known.has(current)) await nameTheUnnamed(store, known)
    return new PolicyVersions(store, known, current)
  }

  /** The one to begin with; undefined before there was any. */
  get current(): number | undefined {
    return this.#current
  }

  /** Those that were in force, newest first. */
  get inForceOnce(): readonly PolicyVersion[] {
    return [...this.#known.values()]
      .filter(({ cameIntoForce }) => cameIntoForce)
      .toSorted((one, other) => other.version - one.version)
  }

  /** The one that was in force before this one. @throws ServerError NOT_FOUND */
  before(version: number): number {
    const earlier = this.inForceOnce.find((other) => other.version < version)
    if (earlier) return earlier.version
    throw new ServerError('NOT_FOUND', `no policy was in force before version ${version}`)
  }

  /** Records name a policy by its version, so a number that one policy has had is never another's. */
  isTaken(version: number, hash: Fingerprint): boolean {
    const known = this.#known.get(version)
    return known !== undefined && known.hash !== hash
  }

  /** Above all that were ever tried. */
  get next(): number {
    return Math.max(0, ...this.#known.keys()) + 1
  }

  /** @throws ServerError NOT_FOUND for one that never was in force */
  facts(version: number): PolicyVersion {
    const facts = this.#known.get(version)
    if (facts?.cameIntoForce) return facts
    throw new ServerError('NOT_FOUND', `version ${version} was never in force here`)
  }

  /** As it was written. @throws ServerError NOT_FOUND for one that never was in force, POLICY_MISSING */
  async source(version: number): Promise<string> {
    const source = await this.#store.get(sourceKey(this.facts(version).version))
    if (source === undefined)
      throw new ServerError('POLICY_MISSING', `the store has lost the policy of version ${version}`)
    return decode(source)
  }

  /** Takes the number for this policy, which decides nothing yet. @throws StoreError */
  async keep(facts: PolicyFacts, source: string): Promise<void> {
    const kept = { ...facts, cameIntoForce: false }
    await this.#store.commit({
      puts: [[sourceKey(kept.version), encode(source)], factsRow(kept)],
    })
    this.#known.set(kept.version, kept)
  }

  /** The next start begins with it. @throws StoreError */
  async begin(facts: PolicyFacts): Promise<void> {
    const began = { ...facts, cameIntoForce: true }
    await this.#store.commit({ puts: [[currentKey, encode(sourceKey(began.version))], factsRow(began)] })
    this.#known.set(began.version, began)
    this.#current = began.version
  }

  /** Gives the number of a policy back that no record names. @throws StoreError */
  async forget(version: number): Promise<void> {
    await this.#store.commit({ deletes: [sourceKey(version), factsKey(version)] })
    this.#known.delete(version)
  }
}

/** Of a policy that comes into force now. */
export function factsOf(
  { policy, hash }: CheckedPolicy,
  { operator, peer, comment }: OperatorFacts,
  now: number,
): PolicyFacts {
  return {
    ...{ version: policy.version, hash, tests: policy.tests.length, since: now, operator },
    ...(peer !== undefined && { peer }),
    ...(comment !== undefined && { comment }),
  }
}

/** Versions of before facts were kept had all been in force. */
async function nameTheUnnamed(store: Store, known: Map<number, PolicyVersion>): Promise<void> {
  const found: PolicyVersion[] = []
  for await (const [key] of store.entries(sourcePrefix)) {
    const version = Number(key.slice(sourcePrefix.length))
    if (Number.isSafeInteger(version) && !known.has(version)) found.push({ version, cameIntoForce: true })
  }
  await store.commit({ puts: found.map(factsRow) })
  for (const facts of found) known.set(facts.version, facts)
}

function factsRow(facts: PolicyVersion): readonly [string, Uint8Array] {
  return [factsKey(facts.version), encode(encodeJson(facts))]
}

const whole = integer(0, Number.MAX_SAFE_INTEGER)

const storedFacts = object({
  version: whole,
  cameIntoForce: boolean,
  hash: optional(parsed(parseFingerprint)),
  tests: optional(whole),
  since: optional(whole),
  operator: optional(parsed(parseOperatorName)),
  peer: optional(text(256)),
  comment: optional(text(1024)),
  restores: optional(whole),
  record: optional(whole),
})

/** Where they cannot be read they count as not kept: the policy itself is what matters. */
function readFacts(version: number, json: string): PolicyVersion {
  try {
    return { ...decodeJson(json, storedFacts, 'facts of a policy'), version }
  } catch {
    return { version, cameIntoForce: true }
  }
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}
