import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { EkMaker, EkMakerHabits } from '#enrollment'
import type { TpmMakerView, TpmRootView } from '#protocol'
import { decodePem, fingerprintOf } from '#x509'

/** A manufacturer of TPMs whose CA certificates come with this package. */
interface KnownMaker {
  readonly name: string
  /** A virtual TPM is as genuine as the cloud around it: trusted only where the configuration names it. */
  readonly kind: 'chip' | 'virtual'
  /** Only what a certificate in the field has shown to be needed. */
  readonly habits?: EkMakerHabits
}

/** By their ids in the TCG's vendor registry. What lies in `tpm-makers/ID/`, and from where, says its PROVENANCE.tsv. */
export const knownMakers = {
  AMD: { name: 'AMD, firmware TPM and Pluton', kind: 'chip' },
  IFX: { name: 'Infineon', kind: 'chip' },
  INTC: { name: 'Intel', kind: 'chip' },
  MSFT: { name: 'Microsoft Pluton', kind: 'chip' },
  NSG: { name: 'NSING', kind: 'chip' },
  NTC: { name: 'Nuvoton', kind: 'chip' },
  NTZ: { name: 'Nationz', kind: 'chip' },
  STM: { name: 'STMicroelectronics', kind: 'chip' },
  BABA: { name: 'Alibaba Cloud', kind: 'virtual' },
  GOOG: { name: 'Google Compute Engine', kind: 'virtual', habits: { ekUsageMissing: true } },
} as const satisfies Readonly<Record<string, KnownMaker>>

export type TpmMakerId = keyof typeof knownMakers

export const tpmMakerIds = Object.keys(knownMakers) as readonly TpmMakerId[]

/** Whom an installation trusts that says nothing about it. */
export const defaultMakers: readonly TpmMakerId[] = tpmMakerIds.filter((id) => knownMakers[id].kind === 'chip')

/** Their certificates, as this package brings them along. */
export function readKnownMakers(ids: readonly TpmMakerId[]): readonly EkMaker[] {
  return ids.map((id) => {
    const { habits }: KnownMaker = knownMakers[id]
    const roots = readBundled(id, 'roots')
    return { id, roots, intermediates: readBundled(id, 'intermediates'), ...(habits && { habits }) }
  })
}

function readBundled(id: TpmMakerId, file: 'roots' | 'intermediates'): readonly Uint8Array[] {
  const path = new URL(`../../tpm-makers/${id}/${file}.pem`, import.meta.url)
  return decodePem(readFileSync(path, 'utf8'), 'CERTIFICATE')
}

/** As operators see them: whom the service trusts, and until when; without those of whom nothing is there. */
export function viewMakers(makers: readonly EkMaker[]): readonly TpmMakerView[] {
  return makers
    .filter(({ roots }) => roots.length > 0)
    .map(({ id, roots, intermediates, habits }) => ({
      id,
      ...(isKnown(id) ? { name: knownMakers[id].name, kind: knownMakers[id].kind } : { kind: 'own' as const }),
      roots: roots.map(viewRoot),
      intermediates: intermediates.length,
      forgiven: (['ekUsageMissing', 'expiredAuthorities'] as const).filter((habit) => habits?.[habit] === true),
    }))
}

function viewRoot(der: Uint8Array): TpmRootView {
  const { subject, validTo } = new X509Certificate(der)
  return {
    subject: subject.replaceAll('\n', ', '),
    fingerprint: fingerprintOf(der),
    notAfter: new Date(validTo).toISOString(),
  }
}

function isKnown(id: string): id is TpmMakerId {
  return Object.hasOwn(knownMakers, id)
}
