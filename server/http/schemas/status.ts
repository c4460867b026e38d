import Type from 'typebox'
import type { StatusView } from '#protocol'
import { count, fingerprint, strict, time, words } from './fields.js'
import { held } from './held.js'

const outsideCheckpoint = strict({ size: count, at: time })

export const statusView = held<StatusView>()(
  strict({
    version: Type.String(),
    trustDomain: Type.String(),
    startedAt: time,
    devices: strict({ registered: count, active: count, revoked: count }),
    sessions: strict({ connected: count, stored: count }),
    audit: strict({
      mode: words('strict', 'relaxed', 'bestEffort'),
      first: count,
      size: count,
      durable: Type.Integer({ minimum: -1 }),
      healthy: Type.Boolean(),
      outside: strict({
        newest: Type.Optional(outsideCheckpoint),
        places: Type.Array(
          strict({
            kind: words('witness', 'published'),
            name: Type.String(),
            newest: Type.Optional(outsideCheckpoint),
            problem: Type.Optional(Type.String()),
          }),
        ),
      }),
    }),
    policy: strict({ version: count, hash: fingerprint }),
    issuer: strict({ subject: Type.String(), notAfter: time }),
  }),
)
