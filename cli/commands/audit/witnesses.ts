import { type Attested, verifyWitnessed } from '#audit'
import { formatTime } from '../arguments.js'
import { readVerifierKey } from '../verifier-key.js'

export const witnessKeyOption = [
  '--witness-vkey <key>',
  'verifier key of a witness that must vouch for the log, or a file with it; can be repeated',
] as const

/** What each witness vouches for, as the report and a person get it. */
export interface Witnesses {
  readonly report: { readonly witnesses?: readonly WitnessReport[] }
  readonly lines: readonly (readonly [name: string, says: string])[]
  readonly silent: readonly string[]
}

interface WitnessReport {
  readonly name: string
  readonly size?: number
  readonly at?: string
  readonly problem?: string
}

/** Each given one is a key, or the name of a file that holds it. @throws CliError CANNOT_READ */
export async function askWitnesses(folder: string, given: readonly string[]): Promise<Witnesses> {
  const attested = await verifyWitnessed(folder, given.map(readVerifierKey))
  return {
    report: attested.length === 0 ? {} : { witnesses: attested.map(reportOf) },
    lines: attested.map((witness) => [witness.name, saidBy(witness)] as const),
    silent: attested.filter(({ cosigned }) => !cosigned).map(({ name }) => name),
  }
}

function reportOf({ name, cosigned, problem }: Attested): WitnessReport {
  return {
    name,
    ...(cosigned && { size: cosigned.size, at: new Date(cosigned.at).toISOString() }),
    ...(problem !== undefined && { problem }),
  }
}

function saidBy({ cosigned, problem = '' }: Attested): string {
  if (!cosigned) return `does not vouch for this log: ${problem}`
  const at = formatTime(new Date(cosigned.at).toISOString())
  return `cosigned the first ${cosigned.size.toLocaleString('en')} records, ${at}`
}
