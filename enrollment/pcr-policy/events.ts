import { encodeHex } from '#protocol'
import { decodeEventLog, type EventLog, replayEventLog, TpmError } from '#tpm'
import { measuredInto } from './measured-into.js'
import type { EventRule, PcrPolicy } from './policy.js'
import type { PcrReason } from './reason.js'
import { secureBootProblem } from './secure-boot.js'

/** What firmware alone extends; later an operating system measures too, and does not write that into this log. */
const lastFirmwarePcr = 7

/**
 * What an event log says against a device. It is written by the very machine that is in doubt: so it counts only where it
 * leads to the quoted values, and of its events only the digests do. What kind each one is called, no PCR holds.
 */
export function eventLogReasons(
  bytes: Uint8Array | undefined,
  quoted: ReadonlyMap<number, Uint8Array>,
  policy: PcrPolicy,
): readonly PcrReason[] {
  if (!policy.eventLog) return []
  if (bytes === undefined) return [{ code: 'EVENT_LOG_MISSING', says: 'no event log came with the quote' }]
  try {
    const log = decodeEventLog(bytes)
    const strays = strayPcrs(log, quoted, policy)
    if (strays.length === 0) return ruleReasons(log, policy)
    const says = `the event log does not lead to the quoted value of PCR ${strays.join(', ')}`
    return [{ code: 'EVENT_LOG_MISMATCH', says }]
  } catch (error) {
    if (!(error instanceof TpmError)) throw error
    return [{ code: 'EVENT_LOG_INVALID', says: `the event log cannot be read: ${error.message}` }]
  }
}

/** Registers whose quoted value the log does not explain, of those that it has to: the firmware's, and those with a rule. */
function strayPcrs(log: EventLog, quoted: ReadonlyMap<number, Uint8Array>, { events }: PcrPolicy): readonly number[] {
  const replayed = replayEventLog(log, 'sha256')
  const ruled = new Set([...events.require, ...events.only, ...events.forbid].map(({ pcr }) => pcr))
  return [...quoted]
    .filter(([pcr]) => pcr <= lastFirmwarePcr || ruled.has(pcr))
    .filter(([pcr, value]) => encodeHex(replayed.get(pcr) ?? new Uint8Array(value.length)) !== encodeHex(value))
    .map(([pcr]) => pcr)
}

function ruleReasons(log: EventLog, { events }: PcrPolicy): readonly PcrReason[] {
  const secureBoot = events.secureBoot ? secureBootProblem(log) : undefined
  return [
    ...(secureBoot === undefined ? [] : [{ code: 'SECURE_BOOT_OFF', says: secureBoot } as const]),
    ...events.require
      .filter((rule) => !named(log, rule).includes(true))
      .map(broken('EVENT_REQUIRED', 'lacks an event')),
    ...events.only
      .filter((rule) => named(log, rule).includes(false))
      .map(broken('EVENT_FORBIDDEN', 'has another event')),
    ...events.forbid.filter((rule) => named(log, rule).includes(true)).map(broken('EVENT_FORBIDDEN', 'has an event')),
  ]
}

/** Of each event of the rule's register, whether the rule names its digest. */
function named(log: EventLog, { pcr, digests }: EventRule): readonly boolean[] {
  return measuredInto(log, pcr).map((digest) => digests.includes(digest))
}

function broken(code: 'EVENT_REQUIRED' | 'EVENT_FORBIDDEN', problem: string): (rule: EventRule) => PcrReason {
  return ({ pcr, comment }) => ({ code, says: `PCR ${pcr} ${problem}${comment === undefined ? '' : ` (${comment})`}` })
}
