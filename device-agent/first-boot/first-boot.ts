import { CodedError } from '#protocol'
import { renewing, waitAfter } from '../back-off.js'
import { AgentError, type AgentErrorCode } from '../errors.js'
import type { IssuedGeneration } from '../generation.js'

export interface FirstBoot {
  /** @throws CodedError */
  readonly join: () => Promise<IssuedGeneration>
  /** 0 to 1. */
  readonly random: () => number
  /** Ends early when it is told to stop. */
  readonly sleep: (milliseconds: number) => Promise<void>
  readonly stopped: AbortSignal
  readonly log: (event: string, facts: Readonly<Record<string, string>>) => void
}

/**
 * Joins, however often that takes: a device that is switched on for the first time may find no network yet, and one that
 * is refused today may be registered tomorrow. Undefined when it was stopped before. @throws CodedError for what no
 * waiting mends
 */
export async function firstBoot({
  join,
  random,
  sleep,
  stopped,
  log,
}: FirstBoot): Promise<IssuedGeneration | undefined> {
  for (let failures = 1; !stopped.aborted; failures++) {
    try {
      return await join()
    } catch (error) {
      if (!(error instanceof CodedError) || isOurOwnAffair(error)) throw error
      const { code, message } = error
      const asked = error instanceof AgentError ? error.refusal?.retryAfterSeconds : undefined
      const wait = waitAfter(renewing, failures, random, asked)
      log('not joined', { error: code, message, 'again-in': `${Math.round(wait / 1000)}s` })
      await sleep(wait)
    }
  }
  return undefined
}

/** What stands on this device, and stays so until somebody changes it here. */
const ourOwn: ReadonlySet<string> = new Set<AgentErrorCode>([
  'USAGE',
  'ALREADY_ENROLLED',
  'SETTINGS_INVALID',
  'SETTINGS_UNSAFE',
  'SOURCES_DISAGREE',
  'STATE_INVALID',
  'STATE_LOCKED',
])

function isOurOwnAffair(error: CodedError): boolean {
  return ourOwn.has(error.code)
}
