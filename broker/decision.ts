import type { Decision } from '#protocol'

type Denied = Extract<Decision, { effect: 'deny' }>

/** Deny when in doubt: a policy that throws, or answers nothing, has not allowed anything. */
export function decide<D extends Decision>(policyVersion: number, ask: () => D): D | Denied {
  try {
    const decision = ask()
    if (decision.effect === 'allow' || decision.effect === 'deny') return decision
  } catch {
    // The refusal below is the answer; the rights themselves say in the log when they could not be made.
  }
  return { effect: 'deny', reason: 'internal', rules: [], policyVersion }
}
