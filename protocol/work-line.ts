/*
 * Work that takes long is answered line by line (NDJSON): `{"progress":…}` now and then, `{"answer":…}` in the end. Where
 * it cannot be ended, the last line is a problem, see problem-line.ts.
 */

/** How far it is. */
export interface WorkProgress {
  readonly done: number
  readonly total: number
}

export type WorkLine<Answer> = { readonly progress: WorkProgress } | { readonly answer: Answer }

export function encodeWorkLine<Answer>(line: WorkLine<Answer>): string {
  return `${JSON.stringify(line)}\n`
}
