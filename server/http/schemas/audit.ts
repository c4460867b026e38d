import Type from 'typebox'
import type {
  AuditCheckpoint,
  ErasePayloadsAnswer,
  ErasePayloadsRequest,
  PayloadDisclosureView,
  RotateKeyAnswer,
  RotateKeyRequest,
} from '#protocol'
import type { QueryTerm } from '#audit'
import { act, comment, count, deviceId, strict, time, words } from './fields.js'
import { held } from './held.js'

const term = Type.Optional(Type.String({ maxLength: 1024 }))

const terms: Readonly<Record<QueryTerm, typeof term>> = {
  device: term,
  session: term,
  event: term,
  topic: term,
  decision: term,
  rule: term,
  operator: term,
  since: term,
  until: term,
  order: term,
  limit: term,
  after: term,
}

/** One query language for the log, as text in `q` and as terms by their names; `audit/search/query-text.ts` reads it. */
export const auditQuery = strict({
  q: Type.Optional(Type.String({ maxLength: 2048, description: 'Such as device:pump-7 decision:deny since:2h' })),
  ...terms,
  follow: Type.Optional(words('true', 'false')),
})

/** A record by its sequence number. */
export const recordParams = strict({ id: Type.String({ pattern: '^(0|[1-9][0-9]{0,14})$' }) })

export const rotateKeyRequest = held<RotateKeyRequest>()(
  strict({ days: Type.Optional(Type.Integer({ minimum: 0, maximum: 365 })), ...act }),
)

export const rotateKeyAnswer = held<RotateKeyAnswer>()(
  strict({ verifierKey: Type.String(), previousVerifierKey: Type.String(), notAfter: time }),
)

export const auditCheckpoint = held<AuditCheckpoint>()(
  strict({ checkpoint: Type.String(), verifierKey: Type.String() }),
)

const hex = (bytes: number) => Type.String({ pattern: `^[0-9a-f]{${2 * bytes}}$` })
const day = Type.String({ pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}$', description: 'A day in UTC' })

export const payloadDisclosure = held<PayloadDisclosureView>()(
  strict({
    sequence: count,
    time,
    device: deviceId,
    topic: Type.String(),
    size: count,
    payloadCommitment: hex(32),
    r: hex(32),
  }),
)

export const erasePayloadsRequest = held<ErasePayloadsRequest>()(
  strict({ day, device: Type.Optional(deviceId), comment: Type.String({ ...comment, minLength: 1 }) }),
)

export const erasePayloadsAnswer = held<ErasePayloadsAnswer>()(
  strict({ day, device: Type.Optional(deviceId), keys: count }),
)
