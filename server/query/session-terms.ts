import type { Labels, SessionView } from '#protocol'
import { oneOf } from './kinds-of-term.js'
import type { Terms } from './query.js'

/** What a query can say of a session; its labels are those of its device. */
export function sessionTerms(labelsOf: (session: SessionView) => Labels): Terms<SessionView> {
  return {
    maps: { label: labelsOf },
    words: {
      is: oneOf({
        online: ({ connected }) => connected,
        waiting: ({ queued }) => queued > 0,
        refused: ({ lastRefusal }) => lastRefusal !== undefined,
      }),
    },
  }
}
