import { setImmediate } from 'node:timers/promises'
import type { CertificateFacts, DeviceId } from '#protocol'
import { type EnrollmentIssue, enrollmentOf, type JoinContext } from '../enrollment-plan.js'
import { RegistryError } from '../errors.js'
import type { Registrar } from '../registrar.js'
import { isOnlyOf } from './apply-runs.js'
import { devicesOf, type Run } from './run.js'
import { planRun, requireUnspent, runEventOf, type RunJoin, type RunPlan } from './run-plan.js'

/** So many devices are recorded in one go: a thousand would keep everybody else waiting. */
const recordedTogether = 16

type Certificates = ReadonlyMap<DeviceId, CertificateFacts>

/** Knows the runs of CI pipelines that brought simulated devices, and the tokens that they showed. */
export class Runs {
  readonly #registrar: Registrar

  constructor(registrar: Registrar) {
    this.#registrar = registrar
  }

  /** @throws RegistryError TOKEN_SPENT where a token was shown for other keys before */
  requireUnspent(shown: Pick<RunJoin, 'jobToken' | 'keySet'>): void {
    requireUnspent(this.#registrar.state, shown)
  }

  /** What a job's join comes to, if it comes to anything for all of its keys. Nothing has changed yet. @throws RegistryError */
  plan(join: RunJoin, peer?: string): RunPlan {
    const { state, locks, now } = this.#registrar
    const plan = planRun(state, join, now())
    for (const [at, device] of plan.devices.entries()) {
      const attestation = join.attestations[at]
      if (attestation !== undefined) locks.gate.requireJoin(device, attestation, peer)
    }
    return plan
  }

  /**
   * Spends the token with a record that comes before all others, and then records the devices. Whatever stops this
   * halfway, the same keys get the rest when they come again, and no others get anything.
   * @throws RegistryError CONFLICT when the run has changed since (then plan again; these certificates are thrown away)
   */
  async record(plan: RunPlan, certificates: Certificates, context: JoinContext): Promise<void> {
    const { join } = plan
    if (!isSame(this.plan(join, context.peer), plan)) throw conflict()
    const issues = plan.devices.filter((device) => device.kind === 'issue')
    const facts = { notAfter: latestEnd(plan, certificates), at: this.#registrar.now(), peer: context.peer }
    const recorded = [heardLater(this.#registrar.enter(runEventOf(join, facts)))]
    for (const [done, issue] of issues.entries()) {
      if (done > 0 && done % recordedTogether === 0) await setImmediate()
      recorded.push(heardLater(this.#enroll(issue, certificates, context)))
    }
    await Promise.all(recorded)
  }

  /** Forgets the devices of runs that are over, each run with one record. Returns the devices. @throws RegistryError */
  async forgetDue(): Promise<readonly DeviceId[]> {
    const { state, now } = this.#registrar
    const at = now()
    const forgotten: DeviceId[] = []
    for (const run of state.runs.values()) if (run.notAfter <= at) forgotten.push(...(await this.#forget(run, at)))
    return forgotten
  }

  async #forget(run: Run, at: number): Promise<readonly DeviceId[]> {
    const { state, locks } = this.#registrar
    const devices = devicesOf(run).filter((id) => isOnlyOf(state, run, id))
    const entered = this.#registrar.enter({ event: 'run.forget', run: run.id, count: devices.length, at })
    if (!state.runs.has(run.id)) {
      locks.devicesForgotten(devices)
      for (const device of devices) this.#registrar.tell({ kind: 'forgotten', device })
    }
    await entered
    return devices
  }

  /** `async` so that a refusal is a rejection, as what fails later is. */
  async #enroll(issue: EnrollmentIssue, certificates: Certificates, context: JoinContext): Promise<void> {
    const { state, locks } = this.#registrar
    const certificate = certificates.get(issue.device)
    // Since the last look others had their turn.
    if (certificate === undefined || state.devices.has(issue.device)) throw conflict()
    locks.gate.requireJoin(issue, issue.attestation, context.peer)
    locks.gate.requireIssuer(certificate)
    return this.#registrar.enter(enrollmentOf(issue, certificate, { ...context, at: this.#registrar.now() }))
  }
}

/** What fails while others have yet to begin is heard of when all have. */
function heardLater(done: Promise<void>): Promise<void> {
  done.catch(() => undefined)
  return done
}

function latestEnd({ devices }: RunPlan, certificates: Certificates): number {
  const known = devices.flatMap((device) => (device.kind === 'repeat' ? [device.certificate.notAfter] : []))
  const signed = [...certificates.values()].map(({ notAfter }) => notAfter)
  return Math.max(...known, ...signed)
}

function isSame(one: RunPlan, other: RunPlan): boolean {
  return one.devices.every((device, at) => {
    const before = other.devices[at]
    if (before === undefined || before.kind !== device.kind) return false
    return device.kind === 'repeat' || before.kind === 'repeat' || before.device === device.device
  })
}

function conflict(): RegistryError {
  return new RegistryError('CONFLICT', 'the run has changed since it was looked at')
}
