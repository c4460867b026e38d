import { createHash } from 'node:crypto'
import { encodeHex, type Fingerprint, parseFingerprint, type PcrVerdict } from '#protocol'
import { EnrollmentError, type EnrollmentErrorCode } from '../errors.js'
import { eventLogReasons } from './events.js'
import type { AcceptedValue, PcrPolicy, PcrPolicyInForce } from './policy.js'
import type { PcrReason } from './reason.js'

/** What a device has shown of its PCRs: values that a quote is known to vouch for, and a log that proves nothing yet. */
export interface PcrEvidence {
  readonly quoted?: ReadonlyMap<number, Uint8Array> | undefined
  readonly eventLog?: Uint8Array | undefined
}

/** What can travel in a cookie beside everything else. */
const limits = { reasons: 5, reasonCharacters: 100 } as const

/** What was made of PCRs, and in full why. */
export interface PcrJudgement {
  readonly verdict: PcrVerdict
  readonly reasons: readonly PcrReason[]
}

/** Holds PCRs against a policy, at a moment. Undefined where none holds for the profile and none were quoted. */
export function judgePcrs(
  evidence: PcrEvidence,
  policy: PcrPolicyInForce | undefined,
  at: number,
): PcrJudgement | undefined {
  const shown = shownIn(evidence)
  if (policy === undefined) {
    return evidence.quoted && { verdict: { outcome: 'unjudged', reasons: [], ...shown }, reasons: [] }
  }
  const { name, version, mode } = policy
  const reasons = reasonsAgainst(evidence, policy, at)
  const outcome = reasons.length === 0 ? 'good' : 'bad'
  return { verdict: { policy: { name, version, mode }, outcome, reasons: worded(reasons), ...shown }, reasons }
}

/** The verdict, unless it turns away whom it is about. @throws EnrollmentError of the first reason */
export function requireEnforced(judgement: PcrJudgement | undefined): PcrVerdict | undefined {
  if (judgement === undefined) return undefined
  const { verdict, reasons } = judgement
  const [first] = reasons
  if (first === undefined || verdict.policy?.mode !== 'enforce') return verdict
  const all = reasons.map(({ says }) => says).join('; ')
  throw new EnrollmentError(first.code, `PCR policy ${verdict.policy.name}: ${all}`)
}

/** What says nothing of the machine yet: the device may not know what it is asked for now. */
const incomplete: ReadonlySet<EnrollmentErrorCode> = new Set<EnrollmentErrorCode>([
  'QUOTE_MISSING',
  'PCR_SELECTION_MISMATCH',
  'EVENT_LOG_MISSING',
])

/**
 * The verdict, unless too little came for one of which something follows: then whoever sent it may try again.
 * @throws EnrollmentError of the reason
 */
export function requireComplete(judgement: PcrJudgement | undefined): PcrVerdict | undefined {
  if (judgement === undefined) return undefined
  const { verdict, reasons } = judgement
  const lacking = reasons.filter(({ code }) => incomplete.has(code))
  requireEnforced({ verdict, reasons: lacking })
  return verdict
}

/** None: they are good. */
export function reasonsAgainst({ quoted, eventLog }: PcrEvidence, policy: PcrPolicy, at: number): readonly PcrReason[] {
  if (quoted === undefined) return [{ code: 'QUOTE_MISSING', says: 'the PCRs were not quoted' }]
  const expected = inOrder(policy.pcrs.keys())
  if (String(inOrder(quoted.keys())) !== String(expected)) {
    return [{ code: 'PCR_SELECTION_MISMATCH', says: `expected a quote of exactly the PCRs ${expected.join(', ')}` }]
  }
  const values = [...quoted].flatMap(([pcr, value]) => valueReasons(pcr, encodeHex(value), policy, at))
  return [...values, ...eventLogReasons(eventLog, quoted, policy)]
}

function valueReasons(pcr: number, value: string, { pcrs }: PcrPolicy, at: number): readonly PcrReason[] {
  const accepted = pcrs.get(pcr) ?? []
  if (accepted === 'any') return []
  const known = accepted.filter((each) => each.value === value)
  if (known.some((each) => isGoodAt(each, at))) return []
  const problem = known.length > 0 ? 'is good at another time' : 'the policy does not name'
  return [{ code: 'PCR_MISMATCH', says: `PCR ${pcr} has a value that ${problem}` }]
}

function isGoodAt({ from = -Infinity, until = Infinity }: AcceptedValue, at: number): boolean {
  return from <= at && at < until
}

function shownIn({
  quoted = new Map<number, Uint8Array>(),
  eventLog,
}: PcrEvidence): Pick<PcrVerdict, 'pcrs' | 'eventLog'> {
  return {
    pcrs: Object.fromEntries([...quoted].map(([pcr, value]) => [String(pcr), value])),
    ...(eventLog !== undefined && { eventLog: hashOfLog(eventLog) }),
  }
}

/** By which a log is known that was judged. */
export function hashOfLog(eventLog: Uint8Array): Fingerprint {
  return parseFingerprint(createHash('sha256').update(eventLog).digest('hex'))
}

function worded(reasons: readonly PcrReason[]): readonly string[] {
  const said = reasons.map(({ code, says }) => `${code}: ${says}`.slice(0, limits.reasonCharacters))
  const more = said.length - limits.reasons
  return more <= 0 ? said : [...said.slice(0, limits.reasons - 1), `and ${more + 1} more`]
}

function inOrder(pcrs: Iterable<number>): readonly number[] {
  return [...pcrs].sort((one, other) => one - other)
}
