import { createReadStream } from 'node:fs'
import { joinLimits } from '#protocol'

/** Where Linux shows what the firmware has measured. */
const firmwareEventLog = '/sys/kernel/security/tpm0/binary_bios_measurements'

/** Undefined where there is none, or one that no service would take: what that comes to, the service says. */
export async function readEventLog(path = firmwareEventLog): Promise<Uint8Array | undefined> {
  const parts: Buffer[] = []
  try {
    // The kernel gives the file no size; so much is read, and one byte more.
    for await (const part of createReadStream(path, { end: joinLimits.maxEventLogBytes }) as AsyncIterable<Buffer>) {
      parts.push(part)
    }
  } catch {
    return undefined
  }
  const log = Uint8Array.from(Buffer.concat(parts))
  return log.length === 0 || log.length > joinLimits.maxEventLogBytes ? undefined : log
}
