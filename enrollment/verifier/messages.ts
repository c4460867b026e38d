import { EnrollmentError, type EnrollmentErrorCode } from '../errors.js'
import type { Given, Shown, Work, WorkName } from './work.js'

/** A piece of work on its way to the thread that does it. */
export interface Question<Name extends WorkName = WorkName> {
  readonly name: Name
  readonly given: Given[Name]
}

/** And back. An error loses its class on the way; `failed` is a fault of ours. */
export type Answer<Name extends WorkName = WorkName> =
  | { readonly shown: Shown[Name] }
  | { readonly refused: { readonly code: EnrollmentErrorCode; readonly message: string } }
  | { readonly failed: string }

/** Never throws: whatever was sent, the thread goes on. */
export function answerTo<Name extends WorkName>(work: Work, { name, given }: Question<Name>): Answer<Name> {
  try {
    return { shown: work[name](given) }
  } catch (error) {
    if (error instanceof EnrollmentError) return { refused: { code: error.code, message: error.message } }
    return { failed: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}
