import type { Omission } from './act.js'
import type { Refusal } from './answer.js'

/** What became of something that a device did, when it was done again. */
export type Outcome =
  | { readonly is: 'connected' | 'subscribed' | 'unsubscribed' | 'ended' }
  /** `sent` is all that one knows at QoS 0. */
  | { readonly is: 'acknowledged' | 'sent'; readonly placeholder: boolean }
  | Refusal
  | { readonly is: 'skipped'; readonly why: Omission }

/** As a cell of the time line. */
export function describeOutcome(outcome: Outcome): string {
  switch (outcome.is) {
    case 'refused':
      return `REFUSED ${outcome.text}`
    case 'skipped':
      return 'not sent'
    case 'acknowledged':
    case 'sent':
      return outcome.placeholder ? `${outcome.is}, placeholder` : outcome.is
    case 'connected':
    case 'subscribed':
    case 'unsubscribed':
    case 'ended':
      return outcome.is
  }
}
