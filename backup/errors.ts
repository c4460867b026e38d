import { CodedError } from '#protocol'

export type BackupErrorCode =
  | 'BACKUP_UNFINISHED' // it ends before its last member
  | 'BACKUP_INVALID' //    it is not what was written, or not by us

export class BackupError extends CodedError<BackupErrorCode> {}
