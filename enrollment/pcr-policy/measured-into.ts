import { encodeHex } from '#protocol'
import { type EventLog, eventTypeOf } from '#tpm'

/** TPM_ALG_SHA256, the bank that is quoted. */
const sha256 = 0x000b

/** What a register was extended with, as hex, in order. */
export function measuredInto({ events }: EventLog, pcr: number): readonly string[] {
  return events
    .filter((event) => event.pcr === pcr && event.type !== eventTypeOf('EV_NO_ACTION')) // which extends nothing
    .map(({ digests }) => encodeHex(digests.get(sha256) ?? new Uint8Array()))
}
