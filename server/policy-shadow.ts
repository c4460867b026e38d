import type { PolicyImpact, WorkProgress } from '#protocol'
import { DecisionSample, ImpactTally, type LiveSession, policyHash, readObserved, Shadow } from '#policy'
import type { PolicyStudy } from './policy-study.js'
import { recordsIn } from './record-lines.js'
import { Turns } from './turns.js'

export interface Candidate {
  readonly source: string
  /** Named in messages, as `file:line:column`. */
  readonly file: string
  /** How many decisions of the log it is asked. */
  readonly decisions: number
}

/**
 * Who would gain and who would lose by a policy: live sessions as they are, and the newest decisions of the log, are held
 * against it and against the one in force. It goes on beside the broker, turn by turn, and changes nothing.
 * @throws PolicyError, AuditError
 */
export async function* shadowPolicy(
  study: PolicyStudy,
  { source, file, decisions: asked }: Candidate,
): AsyncGenerator<WorkProgress, PolicyImpact> {
  const view = study.inForce()
  const inForce = await study.read(view.source, 'policy.yaml')
  const candidate = await study.read(source, file)
  const { attributesOf, now, elapsed, signal } = study
  const tally = new ImpactTally(new Shadow({ inForce, candidate, attributesOf, at: now() }))
  const turns = new Turns(elapsed, signal)

  const addresses = await askSessions(study.liveSessions(), tally, turns)
  yield { done: 0, total: asked }
  const sample = new DecisionSample(asked)
  for await (const record of recordsIn(study.search({}))) {
    const observed = readObserved(record)
    if (observed) sample.add(observed)
    if (sample.isFull) break
    if (turns.isOver) await turns.next()
    if (turns.isToTell) yield { done: sample.decisions.length, total: asked }
  }
  for (const decided of sample.decisions) {
    const { session = '' } = decided
    const isLive = addresses.has(session)
    tally.decision(decided, { isLive, from: isLive ? addresses.get(session) : sample.addresses.get(session) })
    if (turns.isOver) await turns.next()
  }
  return tally.impact({
    inForce: { version: view.version, hash: view.hash },
    candidate: { version: candidate.version, hash: policyHash(candidate) },
    ...{ asked, ...sample.range },
  })
}

/** Where the client of each live session is, as far as it is known. */
async function askSessions(
  sessions: Iterable<LiveSession>,
  tally: ImpactTally,
  turns: Turns,
): Promise<ReadonlyMap<string, string | undefined>> {
  const addresses = new Map<string, string | undefined>()
  for (const live of sessions) {
    addresses.set(live.session, live.from)
    tally.session(live)
    for (const subscription of live.subscriptions) {
      tally.subscription(live, subscription)
      if (turns.isOver) await turns.next()
    }
    if (turns.isOver) await turns.next()
  }
  return addresses
}
