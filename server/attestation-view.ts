import { type AttestationView, encodeHex, type EventView, type QuotedPcrView, type VerdictView } from '#protocol'
import type { Attestation, Device, Registry } from '#registry'
import { decodeEventLog, describeEvent, type EventLog, replayEventLog, TpmError } from '#tpm'

/** TPM_ALG_SHA256, the bank that devices quote. */
const sha256 = 0x000b

/** All that is known of what a device has proven, in words where there are some. */
export function viewAttestation(
  { id, instances, anchors }: Device,
  registry: Registry,
  eventLog: Uint8Array | undefined,
): AttestationView {
  const attestation = registry.attestation(id)
  const newest = attestation?.instance ?? instances.at(-1)
  const instance = newest === undefined ? undefined : registry.instance(newest)
  const tier = newest === undefined ? undefined : registry.certificatesOf(newest)[0]?.tier
  const ek = anchors.findLast(({ kind }) => kind === 'ek')?.hash
  const log = readLog(eventLog)
  const { akName: _, ...tpm } = instance?.tpm ?? {}
  return {
    device: id,
    ...(tier !== undefined && { tier }),
    ...(ek !== undefined && { ek }),
    ...(instance?.maker !== undefined && { maker: instance.maker }),
    ...('firmware' in tpm && { tpm }),
    ...(attestation !== undefined && { verdict: viewVerdict(attestation) }),
    pcrs: viewPcrs(attestation, log),
    ...(log !== undefined && { events: viewEvents(log) }),
  }
}

export function viewVerdict({ outcome, policy, reasons, at }: Attestation): VerdictView {
  return { outcome, ...(policy !== undefined && { policy }), reasons, at: new Date(at).toISOString() }
}

function viewPcrs(attestation: Attestation | undefined, log: EventLog | undefined): readonly QuotedPcrView[] {
  const replayed = log === undefined ? undefined : replayEventLog(log, 'sha256')
  return Object.entries(attestation?.pcrs ?? {}).map(([pcr, bytes]) => {
    const value = encodeHex(bytes)
    const byLog = replayed?.get(Number(pcr)) ?? new Uint8Array(bytes.length)
    return { pcr: Number(pcr), value, ...(replayed !== undefined && { replays: encodeHex(byLog) === value }) }
  })
}

function viewEvents({ events }: EventLog): readonly EventView[] {
  return events.map((event) => {
    const { type, text, isMeasured } = describeEvent(event, 'sha256')
    const digest = encodeHex(event.digests.get(sha256) ?? new Uint8Array())
    return { pcr: event.pcr, type, digest, text, measured: isMeasured }
  })
}

/** Undefined also where a device that is only observed sent what is none. */
function readLog(bytes: Uint8Array | undefined): EventLog | undefined {
  if (bytes === undefined) return undefined
  try {
    const log = decodeEventLog(bytes)
    replayEventLog(log, 'sha256')
    return log
  } catch (error) {
    if (error instanceof TpmError) return undefined
    throw error
  }
}
