import { parsePolicy, PolicyError, type PolicyErrorCode, type TopicPolicy, withVersion } from '#policy'
import { messageOf } from '#protocol'

/** What a thread is asked to read, see policy-reader.ts. */
export interface ReadRequest {
  readonly id: number
  readonly source: string
  readonly file: string
  /** Only to put the text under this number. */
  readonly version: number | undefined
}

export type ReadAnswer = { readonly id: number } & (
  | { readonly read: TopicPolicy | string }
  | { readonly wrong: { readonly code: PolicyErrorCode; readonly at: string; readonly problem: string } }
  | { readonly failed: string }
)

export function answerTo({ id, source, file, version }: ReadRequest): ReadAnswer {
  try {
    return { id, read: version === undefined ? parsePolicy(source, file) : withVersion(source, file, version) }
  } catch (error) {
    if (!(error instanceof PolicyError)) return { id, failed: messageOf(error) }
    const { code, at, problem } = error
    return { id, wrong: { code, at, problem } }
  }
}
