/* What an open log goes by, in time and in memory; nobody has to set them. */

/**
 * In relaxed mode records gather for so long before they are written, and while older ones have waited longer than the
 * loss window for the disk no more answers go ahead of them: that is what a crash can take away.
 */
export const relaxed = { gatherMs: 25, lossWindowMs: 100 }

/**
 * To write and sync a batch costs the processor as much as some dozens of records. So in strict mode the records that
 * come after a batch of at least so many gather too, for as long as that one took, and at most for so long. On a disk
 * that takes no millisecond they do not: what comes during a sync is a batch already.
 */
export const busy = { records: 16, gatherMs: 2 }

/** So long those records gather of which nobody waits for one; with the first that somebody waits for, all are written. */
export const unawaited = { gatherMs: 10 }

const mebibyte = 1024 * 1024

/**
 * Above the first mark of waiting bytes sources should pause, below the second they go on, at the third they must, but
 * for what the reserve is kept for. All that waits when the disk turns out to be full has to find room in the reserve.
 */
export const waitingBytes = {
  ...{ congested: 8 * mebibyte, relieved: 2 * mebibyte },
  ...{ full: 32 * mebibyte, fullForReserved: 40 * mebibyte },
}

/** A disk that takes longer for one batch is one that sources should wait for, however little they have sent. */
export const slowAfterMs = 1000

/** Checkpoints are made every second; so long a proof waits for one that covers its record. */
export const coveredWithinMs = 5000

/** In the mode `bestEffort`: how often it tries to write again, and how soon a gap that goes on is recorded if it can be. */
export const bestEffort = { reopenMs: 5_000, gapMs: 10_000 }
