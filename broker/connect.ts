import { CodedError, type DeviceId, type DeviceIdentity, type SessionFacts } from '#protocol'
import type { Connection } from './connection.js'
import { explainDenial } from './denial.js'
import { conclude, expire } from './ending.js'
import type { Hub } from './hub.js'
import type { BrokerLimits } from './limits.js'
import type { Rights } from './rights.js'
import { newSessionName, Session } from './session.js'
import { recheckSubscriptions } from './subscribe.js'
import { afterSpeaking, fireWill, judgeWill, keepWill } from './will.js'
import { type ConnackProperties, encodeConnack } from './wire/encode.js'
import { detached } from './wire/encode-properties.js'
import type { ConnectPacket, ProtocolLevel, Will } from './wire/packet.js'
import { type ReasonCode, reasonCodes } from './wire/reason-codes.js'

/** Why a CONNECT is turned away. */
export interface ConnectRefusal {
  /** What MQTT 5 says of it; MQTT 3.1.1 has its return codes. */
  readonly code: ReasonCode
  readonly reason: string
  readonly comment?: string
  /** For a client of MQTT 5 that has proved to be a device of ours; a stranger is told nothing. */
  readonly say?: string
}

/**
 * Everything between CONNECT and CONNACK, in order; the first refusal ends the connection, before it has disturbed
 * anyone. Nothing behind the CONNECT is looked at until it has been answered.
 */
export async function handleConnect(hub: Hub, connection: Connection, packet: ConnectPacket): Promise<void> {
  connection.hold()
  connection.introduce(packet)
  if (!hub.healthy || hub.options.audit.full)
    return refuse(connection, { code: reasonCodes.serverUnavailable, reason: 'unavailable' })
  const identity = identify(hub, connection)
  if ('reason' in identity) return refuse(connection, identity)
  connection.identity = identity

  const admission = hub.admissionOf(identity, connection.address)
  if (!admission.admitted) return refuse(connection, notAdmitted(admission.reason, admission.comment))
  if (admission.state === 'pending') {
    await hub.options.promote(identity, connection.peer)
    if (connection.closed) return
    const second = hub.admissionOf(identity, connection.address)
    if (!second.admitted) return refuse(connection, notAdmitted(second.reason, second.comment))
  }

  const rights = hub.rightsOf(identity.deviceId, connection.address)
  if (!rights || hub.keptOut.has(identity.deviceId)) return refuse(connection, notAdmitted('no_rights'))
  const refusal =
    refuseEnhancedAuthentication(packet) ??
    refuseSmallPackets(hub, packet) ??
    refuseByNow(hub, identity, rights, packet)
  if (refusal) return refuse(connection, refusal)
  recordAndOpen(hub, connection, packet, identity, rights)
}

/** Turns a connection away; the answer goes out before the socket ends. */
export function refuse(connection: Connection, refusal: ConnectRefusal, level: ProtocolLevel = connection.level): void {
  if (connection.closed) return
  const { code: reasonCode, reason, comment, say } = refusal
  connection.refusal = { reason, ...(comment !== undefined && { comment }) }
  connection.sendExplained(say, (reasonString) =>
    encodeConnack({ level, sessionPresent: false, reasonCode, properties: { reasonString } }),
  )
  connection.close('protocol_error', reason, { flush: true })
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

/** What can be otherwise a moment later: asked before the connection is recorded, and again before it becomes a session. */
function refuseByNow(
  hub: Hub,
  identity: DeviceIdentity,
  rights: Rights,
  packet: ConnectPacket,
): ConnectRefusal | undefined {
  return (
    refuseTime(hub, identity) ??
    refuseClientId(identity.deviceId, rights, packet) ??
    refuseWill(rights, packet) ??
    refuseAnother(hub, identity.deviceId, rights, packet)
  )
}

/** A resumed TLS session has not looked at the certificate's dates again. */
function refuseTime(hub: Hub, { notBefore, notAfter }: DeviceIdentity): ConnectRefusal | undefined {
  const now = hub.now()
  return notBefore.getTime() <= now && now < notAfter.getTime() ? undefined : notAdmitted('expired')
}

/** Who is there is proved by the certificate; there is nothing left to ask (MQTT 5.0 §4.12) [MQTT-4.12.0-1]. */
function refuseEnhancedAuthentication({ authenticationMethod }: ConnectPacket): ConnectRefusal | undefined {
  if (authenticationMethod === undefined) return undefined
  return { code: reasonCodes.badAuthenticationMethod, reason: 'authentication_method' }
}

/** Who takes no packet as large as the CONNACK that we owe would wait for it for ever, with a session that it never sees. */
function refuseSmallPackets(hub: Hub, packet: ConnectPacket): ConnectRefusal | undefined {
  const { level, maximumPacketSize } = packet
  if (maximumPacketSize === undefined) return undefined
  const properties = connackProperties(packet, hub.limits, grantedExpiry(packet, hub.limits))
  const { length } = encodeConnack({ level, sessionPresent: false, reasonCode: reasonCodes.success, properties })
  if (length <= maximumPacketSize) return undefined
  const comment = `takes ${maximumPacketSize} bytes, CONNACK has ${length}`
  return { code: reasonCodes.packetTooLarge, reason: 'packet_size', comment }
}

/** The client id is a claim: it must be the device's own id, or `id~suffix` where its roles allow several sessions. */
function refuseClientId(device: DeviceId, rights: Rights, { clientId }: ConnectPacket): ConnectRefusal | undefined {
  if (isOwnClientId(device, rights, clientId)) return undefined
  const say = `the client identifier of this certificate is ${device}`
  return { code: reasonCodes.clientIdentifierNotValid, reason: 'client_id', say }
}

export function isOwnClientId(device: DeviceId, rights: Rights, clientId: string): boolean {
  if (clientId === device) return true
  const suffix = clientId.startsWith(`${device}~`) ? clientId.slice(device.length + 1) : ''
  return rights.maxSessions > 1 && /^[A-Za-z0-9._-]{1,32}$/.test(suffix)
}

function refuseWill(rights: Rights, { will }: ConnectPacket): ConnectRefusal | undefined {
  const decision = will && judgeWill(rights, will)
  if (!will || decision?.effect !== 'deny') return undefined
  const comment = `${will.topic}: ${decision.reason}`
  return { code: reasonCodes.notAuthorized, reason: 'will', comment, say: explainDenial('will', will.topic, decision) }
}

/** Only connected siblings count: a place that is held for one who is away is given up instead, see {@link makeRoom}. */
function refuseAnother(hub: Hub, device: DeviceId, rights: Rights, packet: ConnectPacket): ConnectRefusal | undefined {
  const siblings = hub.sessions.of(device).filter(({ clientId, link }) => clientId !== packet.clientId && link)
  if (siblings.length < rights.maxSessions) return undefined
  const comment = `at most ${rights.maxSessions}`
  return { code: reasonCodes.notAuthorized, reason: 'sessions', comment, say: `${comment} sessions at once` }
}

function notAdmitted(reason: string, comment?: string): ConnectRefusal {
  return { code: reasonCodes.notAuthorized, reason, ...(comment !== undefined && { comment }) }
}

/** From here on it is a session in the log; it begins to act when its record is durable. */
function recordAndOpen(
  hub: Hub,
  connection: Connection,
  packet: ConnectPacket,
  identity: DeviceIdentity,
  rights: Rights,
): void {
  const facts: SessionFacts = {
    device: identity.deviceId,
    session: newSessionName(),
    sessionIndex: 0,
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
    protocolLevel: packet.level,
  })
  connection.opening = facts
  hub.options.heard?.(facts.device)
  const will = packet.will && {
    ...packet.will,
    payload: new Uint8Array(packet.will.payload), // not the whole read buffer
    properties: detached(packet.will.properties),
  }
  const begin = (): void => {
    if (!connection.closed) open(hub, connection, packet, identity, will, facts.session)
  }
  hub.trail.after(sequence, connection.guarded(begin))
}

/** A session that a client coming back without a clean start would find (MQTT 5.0 §3.1.2.4). */
function storedSession(hub: Hub, clientId: string): Session | undefined {
  const session = hub.sessions.get(clientId)
  return session?.persistent === true && !session.isOver(hub.elapsed()) ? session : undefined
}

/** Takes over from an older connection of the same client id, finds or makes the session, and answers. */
function open(
  hub: Hub,
  connection: Connection,
  packet: ConnectPacket,
  identity: DeviceIdentity,
  will: Will | undefined,
  name: string,
): void {
  const { deviceId: device, fingerprint: certificate } = identity
  // All of it again: policy, labels, the time and siblings can have changed while the record was written.
  const rights = hub.rightsOf(device, connection.address)
  if (!rights || hub.keptOut.has(device)) return refuse(connection, notAdmitted('no_rights'))
  const refusal = refuseByNow(hub, identity, rights, packet)
  if (refusal) return refuse(connection, refusal)
  const { clientId, clean } = packet
  const before = hub.store.changes
  hub.sessions.get(clientId)?.link?.close('taken_over') // [MQTT-3.1.4-2], [MQTT-3.1.4-3]
  const present = clean ? undefined : storedSession(hub, clientId)
  const old = hub.sessions.get(clientId)
  if (old && !present) conclude(hub, old) // [MQTT-3.1.2-4], [MQTT-3.1.2-6], [MQTT-3.1.2-23]
  makeRoom(hub, device, rights, clientId)
  const expirySeconds = grantedExpiry(packet, hub.limits)
  const { address } = connection
  const begun = { clientId, device, expirySeconds, rights, certificate, address, since: hub.now(), among: hub }
  const session = present ?? new Session(begun)
  if (!present) hub.sessions.add(session)
  // In time, a delayed will is not published [MQTT-3.1.3-9]; one that a restart has deferred is.
  if (session.will && session.will.delaySeconds === 0) fireWill(hub, session)
  if (session.persistent && expirySeconds === 0) hub.store.deleteSession(session)
  session.begin({ name, rights, certificate, since: hub.now(), link: connection, expirySeconds })
  keepWill(hub, session, will)
  if (session.persistent) hub.store.putSession(session)
  if (present) recheckSubscriptions(hub, session) // of what it was granted then, policy may have taken some back
  connection.session = session
  connection.opening = undefined

  const answer = connection.guarded(() => {
    if (connection.closed) return
    const keepAliveSeconds = grantedKeepAlive(packet, hub.limits)
    const properties = connackProperties(packet, hub.limits, expirySeconds)
    const { level } = packet
    const sessionPresent = present !== undefined
    const connack = encodeConnack({ level, sessionPresent, reasonCode: reasonCodes.success, properties })
    connection.accept(connack, keepAliveSeconds)
    session.ready = true
    hub.delivery.resume(session)
    hub.services.renew(session)
    connection.release()
  })
  afterSpeaking(hub, session, () => {
    if (hub.store.changes === before) answer()
    else hub.store.afterFlush(answer)
  })
}

function grantedExpiry({ sessionExpirySeconds }: ConnectPacket, limits: BrokerLimits): number {
  return Math.min(sessionExpirySeconds, limits.sessionExpirySeconds)
}

/** Nobody may be silent for ever: "never" and what is longer than our limit mean our limit. */
function grantedKeepAlive({ keepAliveSeconds }: ConnectPacket, { maxKeepAliveSeconds }: BrokerLimits): number {
  return keepAliveSeconds === 0 ? maxKeepAliveSeconds : Math.min(keepAliveSeconds, maxKeepAliveSeconds)
}

/** What is not as the client has asked for, or not as the standard takes for granted (MQTT 5.0 §3.2.2.3). */
function connackProperties(packet: ConnectPacket, limits: BrokerLimits, expirySeconds: number): ConnackProperties {
  const keepAliveSeconds = grantedKeepAlive(packet, limits)
  return {
    receiveMaximum: limits.maxReceived,
    maximumPacketSize: limits.maxPacketBytes,
    topicAliasMaximum: limits.maxTopicAliases,
    ...(expirySeconds !== packet.sessionExpirySeconds && { sessionExpirySeconds: expirySeconds }), // §3.2.2.3.2
    ...(keepAliveSeconds !== packet.keepAliveSeconds && { serverKeepAliveSeconds: keepAliveSeconds }), // [MQTT-3.1.2-21]
  }
}

/** State of siblings that are away gives way, the oldest first, so that suffixes cannot be made up without end. */
function makeRoom(hub: Hub, device: DeviceId, rights: Rights, clientId: string): void {
  const siblings = hub.sessions.of(device).filter((sibling) => sibling.clientId !== clientId)
  const away = siblings.filter(({ link }) => !link).sort((one, other) => one.since - other.since)
  const excess = Math.max(0, siblings.length + 1 - rights.maxSessions)
  for (const sibling of away.slice(0, excess)) expire(hub, sibling, 'quota')
}
