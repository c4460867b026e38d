import { createHash } from 'node:crypto'
import { encodeUefiVariable, type EventLog, globalVariable } from '#tpm'
import { measuredInto } from './measured-into.js'
import { secureBootPcr } from './policy.js'

/*
 * PC Client Platform Firmware Profile 1.06 §3.3.4.8: firmware measures whether Secure Boot is on into PCR 7, then by which
 * keys, then the separator, and only then runs what an attacker may have brought. All of these have known digests, so that
 * nothing depends on what the log calls an event.
 */

const on = digestsOf(secureBootVariable([1]))
const off = digestsOf(secureBootVariable([0]), secureBootVariable([])) // empty where firmware knows no Secure Boot
const separator = digestsOf(Buffer.alloc(4), Buffer.alloc(4, 0xff))
const debugging = digestsOf(Buffer.from('UEFI Debug Mode'), Buffer.from('UEFI Debug Mode\0'))

/**
 * Why a log that leads to the quoted value of PCR 7 does not show that Secure Boot is on. Who controls the system can
 * extend PCR 7 later with whatever would speak for it: that stands behind the separator, and takes nothing away.
 */
export function secureBootProblem(log: EventLog): string | undefined {
  const measured = measuredInto(log, secureBootPcr)
  const handOver = measured.findIndex((digest) => separator.has(digest))
  if (measured.some((digest) => off.has(digest))) return 'Secure Boot is off'
  if (handOver < 0) return 'the firmware has not finished PCR 7'
  if (!measured.slice(0, handOver).some((digest) => on.has(digest))) {
    return 'the firmware does not say that Secure Boot is on'
  }
  return measured.some((digest) => debugging.has(digest)) ? 'the firmware is in its debug mode' : undefined
}

function secureBootVariable(value: readonly number[]): Uint8Array {
  return encodeUefiVariable({ vendor: globalVariable, name: 'SecureBoot', value: Uint8Array.from(value) })
}

function digestsOf(...measured: readonly Uint8Array[]): ReadonlySet<string> {
  return new Set(measured.map((data) => createHash('sha256').update(data).digest('hex')))
}
