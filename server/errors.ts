import { CodedError } from '#protocol'

export type ServerErrorCode =
  // why it does not start
  | 'CONFIG_INVALID'
  | 'FOLDER_UNUSABLE'
  | 'PORT_IN_USE'
  | 'CANNOT_LISTEN'
  | 'POLICY_MISSING'
  | 'RESTORE_UNFINISHED' // the data folder is only a part of what was to be put back
  | 'RESTORE_NOT_EMPTY' //  there is something where it was to go
  | 'RESTORE_LOG_UNFIT' //  the newer log is none of this service, or not newer
  // why it does not answer as asked
  | 'OPERATOR_UNKNOWN' //     no client certificate came
  | 'OPERATOR_NOT_ADMITTED' // one came, and it opens nothing here
  | 'HOST_FOREIGN' //         sent to a name that is not ours
  | 'ORIGIN_FOREIGN' //       by a page of somebody else
  | 'ACT_NOT_ALLOWED' //      an operator is known, and may not do this
  | 'LABELS_LOCKED' //        a lock goes by the labels that were to change
  | 'DEVICE_CERTIFICATE_REQUIRED'
  | 'DEVICE_NOT_ADMITTED' //  one came, and it opens nothing now
  | 'DISCOVERY_NOT_GRANTED'
  | 'DISCOVERY_BUSY' //       the same device asks several times at once
  | 'TOKEN_REQUIRED'
  | 'OPERATOR_RESERVED' //    a name under which the service itself acts
  | 'OPERATOR_UNBOUND' //     a name that the policy gives nothing
  | 'INVITATION_UNCOVERED' // who made it could not make it now
  | 'INVITATION_REFUSED' //   unknown, used, over, uncovered or of another secret; which, the log says
  | 'REQUEST_INVALID'
  | 'REQUEST_TOO_LARGE'
  | 'MEDIA_TYPE_UNSUPPORTED' // of the body
  | 'NOT_ACCEPTABLE' //       of the answer that is asked for
  | 'ROUTE_UNKNOWN'
  | 'NOT_FOUND'
  | 'SESSION_AWAY'
  | 'KEY_CHANGING'
  | 'BACKUP_UNDER_WAY' //     another one is being taken
  | 'BACKUP_NOT_READ' //      who takes it has stopped reading
  | 'QUERY_INVALID'
  | 'POLICY_TESTS_FAILED'
  | 'POLICY_VERSION'
  | 'POLICY_LOCKS_OUT' //     it would take the right to apply from who applies it
  | 'PCR_POLICY_OVERLAP' //   another PCR policy holds for the same profile
  | 'PCR_POLICY_LIMIT'
  | 'PCR_POLICY_UNREADABLE' // one in the store, so that nothing starts
  | 'NOTHING_QUOTED' //       there is no value to learn
  | 'NOT_READY'
  | 'INTERNAL'

export class ServerError extends CodedError<ServerErrorCode> {}
