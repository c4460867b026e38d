import { type DeviceId, type Fingerprint, parseDeviceId, type ProfileName, type RunName } from '#protocol'

/** A run of a CI pipeline, and the simulated devices that it brought. They end together, and nobody renews them. */
export interface Run {
  readonly id: RunName
  /** What its devices are recognised by: its issuer and what that calls it. */
  readonly anchorHash: Fingerprint
  /** In the order in which they came. */
  readonly batches: readonly Batch[]
  /** From then on all certificates of its devices are over. */
  readonly notAfter: number
}

/** Keys of a run that came together; their devices have the numbers behind those of the batches before. */
export interface Batch {
  readonly keySet: Fingerprint
  readonly profile: ProfileName
  readonly count: number
}

/** A token that a job has shown, and for which keys: it is remembered for as long as it could be shown again. */
export interface JobToken {
  readonly id: Fingerprint
  readonly keySet: Fingerprint
  readonly run: RunName
  readonly notAfter: number
}

export function simulatorId(run: RunName, number: number): DeviceId {
  return parseDeviceId(`sim.${run}.${number}`)
}

/** How many devices a run has, or may have once all are recorded that it asked for. */
export function sizeOf(run: Run | undefined): number {
  return (run?.batches ?? []).reduce((sum, { count }) => sum + count, 0)
}

/** All of them. */
export function devicesOf(run: Run): readonly DeviceId[] {
  return Array.from({ length: sizeOf(run) }, (_, number) => simulatorId(run.id, number))
}

/** The numbers of a batch that a run has, where it has it. */
export function numbersOf(run: Run, { keySet, profile }: Omit<Batch, 'count'>): readonly number[] | undefined {
  let first = 0
  for (const batch of run.batches) {
    if (batch.keySet === keySet && batch.profile === profile) {
      return Array.from({ length: batch.count }, (_, at) => first + at)
    }
    first += batch.count
  }
  return undefined
}
