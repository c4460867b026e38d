import { randomUUID } from 'node:crypto'
import { CodedError, type DeviceId, type DeviceIdentity, type SessionFacts } from '#protocol'
import type { Connection } from './connection.js'
import { type ConnectReturnCode, connectReturnCodes, encodeConnack } from './encode.js'
import type { Hub } from './hub.js'
import type { ConnectPacket } from './packet.js'
import { type Rights, Session } from './session.js'
import { recheckSubscriptions } from './subscribe.js'
import { judgeWill } from './will.js'

/** Why a CONNECT is turned away. */
export interface ConnectRefusal {
  readonly code: ConnectReturnCode
  readonly reason: string
  readonly comment?: string
}

/**
 * Everything between CONNECT and CONNACK, in order; the first refusal ends the connection, before it has disturbed
 * anyone. Nothing behind the CONNECT is looked at until it has been answered.
 */
export async function handleConnect(hub: Hub, connection: Connection, packet: ConnectPacket): Promise<void> {
  connection.hold()
  connection.clientId = packet.clientId
  if (!hub.healthy) return refuse(connection, { code: connectReturnCodes.serverUnavailable, reason: 'unavailable' })
  const identity = identify(hub, connection)
  if ('reason' in identity) return refuse(connection, identity)
  connection.identity = identity

  const admission = hub.admissionOf(identity)
  if (!admission.admitted) return refuse(connection, notAdmitted(admission.reason))
  if (admission.state === 'pending') {
    await hub.options.promote(identity, connection.peer)
    if (connection.closed) return
    const second = hub.admissionOf(identity)
    if (!second.admitted) return refuse(connection, notAdmitted(second.reason))
  }

  const rights = hub.rightsOf(identity.deviceId)
  if (!rights || hub.revoked.has(identity.deviceId)) return refuse(connection, notAdmitted('no_rights'))
  const refusal =
    refuseTime(hub, identity) ??
    refuseClientId(identity.deviceId, rights, packet) ??
    refuseWill(rights, packet) ??
    refuseAnother(hub, identity.deviceId, rights, packet)
  if (refusal) return refuse(connection, refusal)
  recordAndOpen(hub, connection, packet, identity, rights)
}

/** Turns a connection away; the answer goes out before the socket ends. */
export function refuse(connection: Connection, refusal: ConnectRefusal): void {
  if (connection.closed) return
  connection.refusal = refusal
  connection.send(encodeConnack(refusal.code, false))
  connection.close('protocol_error', refusal.reason, { flush: true })
}

function identify(hub: Hub, connection: Connection): DeviceIdentity | ConnectRefusal {
  const certificate = connection.peerCertificate
  if (!certificate) return notAdmitted('no_certificate')
  try {
    return hub.options.identify(certificate)
  } catch (error) {
    return notAdmitted('identity_invalid', error instanceof CodedError ? error.code : undefined)
  }
}

/** A resumed TLS session has not looked at the certificate's dates again. */
function refuseTime(hub: Hub, { notBefore, notAfter }: DeviceIdentity): ConnectRefusal | undefined {
  const now = hub.now()
  return notBefore.getTime() <= now && now < notAfter.getTime() ? undefined : notAdmitted('expired')
}

/** The client id is a claim: it must be the device's own id, or `id~suffix` where its roles allow several sessions. */
function refuseClientId(device: DeviceId, rights: Rights, { clientId }: ConnectPacket): ConnectRefusal | undefined {
  if (isOwnClientId(device, rights, clientId)) return undefined
  return { code: connectReturnCodes.identifierRejected, reason: 'client_id' }
}

export function isOwnClientId(device: DeviceId, rights: Rights, clientId: string): boolean {
  if (clientId === device) return true
  const suffix = clientId.startsWith(`${device}~`) ? clientId.slice(device.length + 1) : ''
  return rights.maxSessions > 1 && /^[A-Za-z0-9._-]{1,32}$/.test(suffix)
}

function refuseWill(rights: Rights, { will }: ConnectPacket): ConnectRefusal | undefined {
  const decision = will && judgeWill(rights, will)
  if (!will || decision?.effect !== 'deny') return undefined
  return { code: connectReturnCodes.notAuthorized, reason: 'will', comment: `${will.topic}: ${decision.reason}` }
}

/** Only connected siblings count: a place that is held for one who is away is given up instead, see {@link makeRoom}. */
function refuseAnother(hub: Hub, device: DeviceId, rights: Rights, packet: ConnectPacket): ConnectRefusal | undefined {
  const siblings = hub.sessions.of(device).filter(({ clientId, link }) => clientId !== packet.clientId && link)
  if (siblings.length < rights.maxSessions) return undefined
  return { code: connectReturnCodes.notAuthorized, reason: 'sessions', comment: `at most ${rights.maxSessions}` }
}

function notAdmitted(reason: string, comment?: string): ConnectRefusal {
  return { code: connectReturnCodes.notAuthorized, reason, ...(comment !== undefined && { comment }) }
}

/** From here on it is a session in the log; it begins to act when its record is durable. */
function recordAndOpen(
  hub: Hub,
  connection: Connection,
  packet: ConnectPacket,
  identity: DeviceIdentity,
  rights: Rights,
): void {
  const facts: SessionFacts = { device: identity.deviceId, session: randomUUID(), sessionIndex: 0 }
  for (const comment of rights.renderErrors) {
    const { deviceId, version } = { ...identity, ...rights }
    hub.trail.record({ event: 'policy.render_error', device: deviceId, policyVersion: version, comment })
  }
  const sequence = hub.trail.record({
    event: 'session.connect',
    ...facts,
    clientId: packet.clientId,
    serial: identity.serial,
    clean: packet.clean,
    sessionPresent: !packet.clean && storedSession(hub, packet.clientId) !== undefined,
    keepAliveSeconds: packet.keepAliveSeconds,
    policyVersion: rights.version,
    peer: connection.peer,
  })
  connection.opening = facts
  const begin = (): void => {
    if (!connection.closed) open(hub, connection, packet, facts)
  }
  hub.trail.after(sequence, connection.guarded(begin))
}

/** A session that a client coming back with clean session 0 would find (MQTT 3.1.1 §3.2.2.2). */
function storedSession(hub: Hub, clientId: string): Session | undefined {
  const session = hub.sessions.get(clientId)
  return session?.clean === false ? session : undefined
}

/** Takes over from an older connection of the same client id, finds or makes the session, and answers. */
function open(hub: Hub, connection: Connection, packet: ConnectPacket, { device, session: name }: SessionFacts): void {
  const rights = hub.rightsOf(device) // again: it may have changed while the record was written
  if (!rights) return refuse(connection, notAdmitted('no_rights'))
  const { clientId, clean } = packet
  const before = hub.store.changes
  hub.sessions.get(clientId)?.link?.close('taken_over') // [MQTT-3.1.4-2]
  const old = hub.sessions.get(clientId)
  if (old && clean) hub.discard(old) // [MQTT-3.1.2-6]
  makeRoom(hub, device, rights, clientId)

  const present = clean ? undefined : storedSession(hub, clientId)
  const session = present ?? new Session({ clientId, device, clean, rights, since: hub.now() })
  if (!present) hub.sessions.add(session)
  session.begin({ name, rights, since: hub.now(), link: connection, will: packet.will })
  if (!clean) hub.store.putSession(session)
  if (present) recheckSubscriptions(hub, session) // of what it was granted then, policy may have taken some back
  connection.session = session

  const answer = connection.guarded(() => {
    if (connection.closed) return
    connection.accept(encodeConnack(connectReturnCodes.accepted, present !== undefined), packet.keepAliveSeconds)
    session.ready = true
    hub.delivery.resume(session)
    connection.release()
  })
  if (hub.store.changes === before) answer()
  else hub.store.afterFlush(answer)
}

/** State of siblings that are away gives way, the oldest first, so that suffixes cannot be made up without end. */
function makeRoom(hub: Hub, device: DeviceId, rights: Rights, clientId: string): void {
  const siblings = hub.sessions.of(device).filter((sibling) => sibling.clientId !== clientId)
  const away = siblings.filter(({ link }) => !link).sort((one, other) => one.since - other.since)
  const excess = Math.max(0, siblings.length + 1 - rights.maxSessions)
  for (const sibling of away.slice(0, excess)) hub.expire(sibling, 'quota')
}
