import { createHash } from 'node:crypto'
import { algorithmIds, hashBytes, type HashName } from '../structures/algorithms.js'
import { TpmError } from '../errors.js'
import type { EventLog, LoggedEvent } from './event-log.js'
import { eventTypeOf } from './event-types.js'

/**
 * The PCR values of a bank to which the events of a log lead (Part 1 §17.2): of every PCR that it extends. Where a quote
 * has the same value, every event of that PCR was measured, in this order, and nothing besides.
 * @throws TpmError STRUCTURE_INVALID, or STRUCTURE_UNSUPPORTED for a log without that bank
 */
export function replayEventLog({ banks, events }: EventLog, bank: HashName): ReadonlyMap<number, Uint8Array> {
  if (!banks.some(({ algorithm }) => algorithm === algorithmIds[bank])) {
    throw new TpmError('STRUCTURE_UNSUPPORTED', `the event log has no digests of ${bank}`)
  }
  const values = new Map<number, Uint8Array>()
  for (const event of events) {
    if (event.type === eventTypeOf('EV_NO_ACTION')) startWith(values, event, bank)
    else extend(values, event, bank)
  }
  return values
}

function extend(values: Map<number, Uint8Array>, { pcr, digests }: LoggedEvent, bank: HashName): void {
  const digest = digests.get(algorithmIds[bank])
  if (digest === undefined) throw new TpmError('STRUCTURE_INVALID', 'an event without a digest of this bank')
  const before = values.get(pcr) ?? new Uint8Array(hashBytes[bank])
  values.set(pcr, Uint8Array.from(createHash(bank).update(before).update(digest).digest()))
}

const localityWord = Buffer.from('StartupLocality\0')
/** 3: the firmware started the TPM itself there; 4: hardware measured before the firmware ran (H-CRTM). */
const localities: readonly number[] = [0, 3, 4]

/** §10.4.5.3: PCR 0 begins with the locality from which the TPM was started; said once, and before anything is in it. */
function startWith(values: Map<number, Uint8Array>, { data }: LoggedEvent, bank: HashName): void {
  if (Buffer.compare(data.subarray(0, localityWord.length), localityWord) !== 0) return
  const [locality, ...more] = data.subarray(localityWord.length)
  if (locality === undefined || more.length > 0 || !localities.includes(locality)) {
    throw new TpmError('STRUCTURE_INVALID', 'a StartupLocality that no TPM can have')
  }
  if (values.has(0)) throw new TpmError('STRUCTURE_INVALID', 'a StartupLocality after PCR 0 was extended')
  values.set(0, new Uint8Array(hashBytes[bank]).with(hashBytes[bank] - 1, locality))
}
