import { CodedError } from '#protocol'
import { asking, type Pace, waitAsAsked } from './back-off.js'
import { AgentError } from './errors.js'
import type { RenewalInfo } from './renewal-info.js'

export interface Inquiry {
  /** @throws CodedError */
  readonly ask: () => Promise<RenewalInfo>
  /** Default: {@link asking} */
  readonly pace?: Pace | undefined
  /** 0 to 1. */
  readonly random: () => number
  /** Ends early when it is told to stop. */
  readonly sleep: (milliseconds: number) => Promise<void>
  readonly stopped: AbortSignal
  readonly log: (event: string, facts: Readonly<Record<string, string>>) => void
}

/**
 * Asks now and then whether the certificate is to be renewed at another time, until it is told to stop. Whatever comes of
 * it, the renewal has a time of its own; so a service that does not answer is asked no sooner.
 */
export async function inquire({ ask, pace = asking, random, sleep, stopped, log }: Inquiry): Promise<void> {
  let problem: string | undefined
  await sleep((0.5 + random() / 2) * pace.leastMs) // those that come back together after a power cut do not ask together
  while (!stopped.aborted) {
    let retryAfterSeconds: number | undefined
    try {
      retryAfterSeconds = (await ask()).retryAfterSeconds
      problem = undefined
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      retryAfterSeconds = error instanceof AgentError ? error.refusal?.retryAfterSeconds : undefined
      const { code, message } = error
      if (code !== problem && !stopped.aborted) log('no renewal info', { error: code, message })
      problem = code
    }
    await sleep(waitAsAsked(pace, retryAfterSeconds, random))
  }
}
