import Type from 'typebox'
import type { KickAnswer, KickRequest, SessionView } from '#protocol'
import { act, count, deviceId, strict, time, topicAction, words } from './fields.js'
import { held } from './held.js'

/** The device id, or `ID~suffix` where a device has several sessions. */
const clientId = Type.String({ pattern: '^(?!\\.{1,2}(~|$))[A-Za-z0-9._-]{1,64}(~[A-Za-z0-9._-]{1,32})?$' })

export const sessionParams = strict({ id: clientId })

const traffic = strict({ in: Type.Number({ minimum: 0 }), out: Type.Number({ minimum: 0 }) })

const sessionView = held<SessionView>()(
  strict({
    session: Type.String(),
    device: deviceId,
    clientId: Type.String(),
    connected: Type.Boolean(),
    since: time,
    peer: Type.String(),
    protocol: Type.Optional(words('3.1.1', '5')),
    transport: Type.Optional(words('tls', 'websocket')),
    subscriptions: Type.Array(strict({ filter: Type.String(), qos: Type.Number() })),
    rates: traffic,
    messages: traffic,
    bytes: traffic,
    queued: count,
    queuedBytes: count,
    lastRefusal: Type.Optional(strict({ at: time, action: topicAction, topic: Type.String(), reason: Type.String() })),
  }),
)

export const sessionList = Type.Unsafe<readonly SessionView[]>(Type.Array(sessionView))

export const kickRequest = held<KickRequest>()(strict({ forget: Type.Optional(Type.Boolean()), ...act }))

export const kickAnswer = held<KickAnswer>()(
  strict({
    clientId: Type.String(),
    device: deviceId,
    ended: Type.Boolean(),
    forgotten: Type.Boolean(),
    purged: count,
  }),
)
