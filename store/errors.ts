import { CodedError } from '#protocol'

export type StoreErrorCode =
  | 'CONFLICT' //     a condition did not hold; nothing was written
  | 'STORE_FAILED' // the disk refused; the commit did not happen, and none will until the store is opened again
  | 'STORE_FULL' //   the same, because there is no room
  | 'STORE_DAMAGED' // files of the store are missing or are not what was written
  | 'STORE_CLOSED'
  | 'STORE_LOCKED' // another process has the folder

export class StoreError extends CodedError<StoreErrorCode> {}
