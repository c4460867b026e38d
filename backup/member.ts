/** A file within a backup. */
export interface Member {
  readonly name: string
  readonly bytes: Buffer
}

/** None has more: a bundle of the log has 16 MiB at most, and a row what a message may have. */
export const mostMemberBytes = 64 * 1024 * 1024
