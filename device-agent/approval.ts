import { type Pace, waitAsAsked } from './back-off.js'
import { AgentError } from './errors.js'

/** How often to ask while an operator has not decided; the service says how often. */
const waiting: Pace = { leastMs: 1_000, usualMs: 60_000, mostMs: 15 * 60_000 }

export interface Approval {
  /** How long to wait in all; 0 asks once. */
  readonly waitSeconds: number
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number
  /** 0 to 1. */
  readonly random: () => number
  /** Ends early when it is told to stop. */
  readonly sleep: (milliseconds: number) => Promise<void>
  readonly stopped: AbortSignal
  readonly say: (line: string) => void
}

/**
 * Joins, and where the service answers that it waits for an operator (202), asks again at the pace that it wants, until it
 * is let in or refused, or the time is over. @throws AgentError what the last try ended with
 */
export async function untilApproved<T>(join: () => Promise<T>, approval: Approval): Promise<T> {
  const { waitSeconds, elapsed, random, sleep, stopped, say } = approval
  const until = elapsed() + waitSeconds * 1000
  for (let tries = 0; ; tries++) {
    try {
      return await join()
    } catch (error) {
      if (!isPending(error)) throw error
      const wait = waitAsAsked(waiting, error.refusal?.retryAfterSeconds, random)
      if (elapsed() + wait > until || stopped.aborted) throw error
      if (tries === 0) say(`${error.message}; asking again for up to ${waitSeconds} s`)
      await sleep(wait)
      if (stopped.aborted) throw error
    }
  }
}

function isPending(error: unknown): error is AgentError {
  return error instanceof AgentError && error.refusal?.code === 'APPROVAL_PENDING'
}
