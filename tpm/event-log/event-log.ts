import { TpmError } from '../errors.js'
import { eventTypeOf } from './event-types.js'
import { type LogBank, readHeader } from './header.js'
import { FirmwareReader } from './reader.js'

/**
 * The crypto-agile event log of a PC's firmware (TCG PC Client Platform Firmware Profile 1.06 §10.2.2): what was measured
 * into which PCR, in order. It proves nothing by itself: see `replayEventLog`.
 */
export interface EventLog {
  readonly banks: readonly LogBank[]
  readonly events: readonly LoggedEvent[]
}

/** TCG_PCR_EVENT2. */
export interface LoggedEvent {
  /** Of an EV_NO_ACTION it means nothing. */
  readonly pcr: number
  readonly type: number
  /** What the PCR of each bank was extended with, by TPM_ALG_ID. */
  readonly digests: ReadonlyMap<number, Uint8Array>
  /** What firmware says that it was; true where it hashes to the digest, see `measuredData`. */
  readonly data: Uint8Array
}

/** Bounds that real logs stay far below: some 20 to 60 KiB, some 60 to 200 events. */
export const eventLogLimits = { maxBytes: 128 * 1024, maxEvents: 2048 } as const

export const pcrCount = 24
/** Some firmware gives an event that extends nothing this index. */
const noPcr = 0xffffffff

/** @throws TpmError STRUCTURE_INVALID, or STRUCTURE_UNSUPPORTED for a log of before TPM 2.0 */
export function decodeEventLog(bytes: Uint8Array): EventLog {
  if (bytes.length > eventLogLimits.maxBytes) {
    throw new TpmError('STRUCTURE_INVALID', `an event log of more than ${eventLogLimits.maxBytes} bytes`)
  }
  const reader = new FirmwareReader(bytes)
  const banks = readHeader(reader)
  const sizes = new Map(banks.map(({ algorithm, digestBytes }) => [algorithm, digestBytes]))
  const events: LoggedEvent[] = []
  while (!reader.isAtEnd) {
    if (events.length === eventLogLimits.maxEvents) {
      throw new TpmError('STRUCTURE_INVALID', `more than ${eventLogLimits.maxEvents} events`)
    }
    events.push(readEvent(reader, sizes))
  }
  return { banks, events }
}

function readEvent(reader: FirmwareReader, sizes: ReadonlyMap<number, number>): LoggedEvent {
  const pcr = reader.uint32()
  const type = reader.uint32()
  const extendsNothing = type === eventTypeOf('EV_NO_ACTION') && pcr === noPcr
  if (pcr >= pcrCount && !extendsNothing) throw new TpmError('STRUCTURE_INVALID', `an event for PCR ${pcr}`)
  const digests = readDigests(reader, sizes)
  return { pcr, type, digests, data: reader.bytes(reader.uint32()) }
}

/** TPML_DIGEST_VALUES: one for each bank that the header names, in any order. */
function readDigests(reader: FirmwareReader, sizes: ReadonlyMap<number, number>): ReadonlyMap<number, Uint8Array> {
  const count = reader.uint32()
  if (count !== sizes.size) throw new TpmError('STRUCTURE_INVALID', `an event with ${count} digests`)
  const digests = new Map<number, Uint8Array>()
  for (let read = 0; read < count; read++) {
    const algorithm = reader.uint16()
    const size = sizes.get(algorithm)
    if (size === undefined) throw new TpmError('STRUCTURE_INVALID', `a digest of a bank that the log does not have`)
    digests.set(algorithm, reader.bytes(size))
  }
  if (digests.size !== count) throw new TpmError('STRUCTURE_INVALID', 'two digests of one bank')
  return digests
}
