import type { Anchor, AttestationResult, Fingerprint, Labels, ProfileName, RegistryEvent, RunName } from '#protocol'
import { type EnrollmentPlan, instanceIdOf } from '../enrollment-plan.js'
import { RegistryError } from '../errors.js'
import type { CertificateRecord, RegistryState } from '../state.js'
import { numbersOf, type Run, simulatorId, sizeOf } from './run.js'

/** What a job has shown, and whom its keys are for. */
export interface RunJoin {
  readonly run: RunName
  readonly anchor: Anchor
  readonly issuerUrl: string
  readonly subject: string
  readonly jobToken: Fingerprint
  /** Until when the token could be shown again. */
  readonly tokenNotAfter: number
  readonly keySet: Fingerprint
  readonly profile: ProfileName
  /** What its devices get. */
  readonly labels: Labels
  /** The most devices that a run may have. */
  readonly most: number
  /** One for each key, in the order of the request. */
  readonly attestations: readonly AttestationResult[]
}

/** What a job's join comes to: for each key a certificate of before, or what a new one has to say. */
export interface RunPlan {
  readonly join: RunJoin
  readonly devices: readonly EnrollmentPlan[]
  /** Whether there is anything to record: a device, or only that this token is spent too. */
  readonly isNew: boolean
}

/**
 * The same keys get the same devices again, by whatever token of their run, until those are over. A token is good for the
 * keys that it was shown for first.
 * @throws RegistryError TOKEN_SPENT, RUN_OVER, RUN_FULL, ID_TAKEN, DEVICE_REVOKED
 */
export function planRun(state: RegistryState, join: RunJoin, now: number): RunPlan {
  requireUnspent(state, join)
  const run = state.runs.get(join.run)
  if (run !== undefined && run.anchorHash !== join.anchor.hash) throw taken(`run ${join.run} is one of another issuer`)
  const numbers = run && numbersOf(run, join)
  if (numbers !== undefined) return planAgain(state, join, numbers, now)
  if (state.jobTokens.has(join.jobToken)) throw over(join.run)
  return planFirst(state, join, run)
}

/** Told before anything is made of the keys. @throws RegistryError TOKEN_SPENT */
export function requireUnspent(state: RegistryState, { jobToken, keySet }: Pick<RunJoin, 'jobToken' | 'keySet'>): void {
  const spent = state.jobTokens.get(jobToken)
  if (spent === undefined || spent.keySet === keySet) return
  throw new RegistryError('TOKEN_SPENT', `the job's token was used for other keys, in run ${spent.run}`)
}

/** The join as it is recorded, before its devices are. `notAfter`: of the certificate that lasts longest. */
export function runEventOf(
  join: RunJoin,
  { notAfter, at, peer }: { readonly notAfter: number; readonly at: number; readonly peer: string | undefined },
): RegistryEvent {
  const { run, anchor, issuerUrl, subject, jobToken, tokenNotAfter, keySet, profile, attestations } = join
  return {
    event: 'join.oidc',
    ...{ run, issuerUrl, subject, profile, anchorHash: anchor.hash, jobToken, tokenNotAfter, keySet, notAfter, at },
    count: attestations.length,
    ...(peer !== undefined && { peer }),
  }
}

function planFirst(state: RegistryState, join: RunJoin, run: Run | undefined): RunPlan {
  const first = sizeOf(run)
  if (first + join.attestations.length > join.most) {
    throw new RegistryError('RUN_FULL', `run ${join.run} has ${first} devices, and may have ${join.most}`)
  }
  const devices = join.attestations.map((attestation, at) => issueOf(state, join, attestation, first + at))
  return { join, devices, isNew: true }
}

/** Behind a crash some of them can be missing: these take the numbers that are free. */
function planAgain(state: RegistryState, join: RunJoin, numbers: readonly number[], now: number): RunPlan {
  const certificates = numbers.flatMap((number) => certificateOf(state, join, number) ?? [])
  const known = new Map(certificates.map((certificate) => [certificate.spkiHash, certificate]))
  const free = numbers.filter((number) => !state.devices.has(simulatorId(join.run, number)))
  const devices = join.attestations.map((attestation): EnrollmentPlan => {
    const certificate = known.get(attestation.spkiHash)
    if (certificate === undefined) return issueOf(state, join, attestation, free.shift())
    if (certificate.notAfter <= now) throw over(join.run)
    return { kind: 'repeat', certificate }
  })
  const isNew = devices.some(({ kind }) => kind === 'issue') || !state.jobTokens.has(join.jobToken)
  return { join, devices, isNew }
}

/** What a device of the run holds. @throws RegistryError DEVICE_REVOKED */
function certificateOf(state: RegistryState, { run, anchor }: RunJoin, number: number): CertificateRecord | undefined {
  const id = simulatorId(run, number)
  const device = state.devices.get(id)
  if (device?.state === 'revoked') throw new RegistryError('DEVICE_REVOKED', `device ${id} was revoked`)
  const instances = device?.instances.flatMap((instance) => state.instances.get(instance) ?? []) ?? []
  const { pending, current } = instances.find((instance) => instance.anchor.hash === anchor.hash) ?? {}
  const fingerprint = pending ?? current
  return fingerprint && state.certificates.get(fingerprint)
}

function issueOf(
  state: RegistryState,
  { run, profile, labels }: RunJoin,
  attestation: AttestationResult,
  number: number | undefined,
): EnrollmentPlan {
  if (number === undefined) throw over(run) // its device had one, and it has been taken from it
  const device = simulatorId(run, number)
  if (state.devices.has(device)) throw taken(`device ${device} exists already`)
  const instance = instanceIdOf(device, attestation)
  return { kind: 'issue', device, instance, profile, labels, attestation, breaksHistory: false }
}

function taken(problem: string): RegistryError {
  return new RegistryError('ID_TAKEN', problem)
}

function over(run: RunName): RegistryError {
  return new RegistryError('RUN_OVER', `the devices of run ${run} are over, and are not renewed`)
}
