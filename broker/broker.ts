import type { DeviceId, OfferChange, SessionView } from '#protocol'
import type { LiveSession } from '#policy'
import type { LockChange } from '#registry'
import { Connection, type ConnectionEvents } from './connection.js'
import { Deadline } from './deadline.js'
import { dispatch, fail } from './dispatch.js'
import { endConnection, overflow, relieve } from './ending.js'
import { type BrokerOptions, Hub } from './hub.js'
import { type Levels, levelsOf } from './levels.js'
import { kick, type Kicked } from './kick.js'
import { HalfOpen } from './listeners/half-open.js'
import { listen, type Listener, type ListenOptions } from './listeners/listener.js'
import type { TlsCredential } from './listeners/secure-server.js'
import type { Transport } from './listeners/transport.js'
import { liveSession } from './live-session.js'
import { holdToRights, Recheck } from './recheck.js'
import { restore } from './restore.js'
import { viewSession } from './session-view.js'
import { type Ended, holdBack, silence, turnOut } from './silence.js'
import type { SilenceReason } from './speaker.js'
import { Standstill } from './standstill.js'
import type { Statistics } from './statistics.js'
import { sweep } from './sweep.js'
import { SystemTopics } from './system-topics.js'

/**
 * Speaks MQTT 3.1.1 and 5 to devices that hold a valid certificate. A device says and hears what its policy allows and nothing
 * else; all of it is in the audit log before it has any effect.
 */
export class Broker {
  readonly #hub: Hub
  readonly #connections = new Set<Connection>()
  readonly #listeners: Listener[] = []
  readonly #halfOpen: HalfOpen
  readonly #recheck: Recheck
  readonly #standstill: Standstill
  readonly #systemTopics: SystemTopics
  readonly #sweeper: NodeJS.Timeout
  readonly #stopListening: readonly (() => void)[]
  readonly #events: ConnectionEvents = {
    packet: (connection, packet) => dispatch(this.#hub, connection, packet),
    failed: fail,
    room: ({ session }) => session && this.#hub.delivery.drain(session),
    closed: (connection, reason, comment) => endConnection(this.#hub, connection, reason, comment),
    gone: (connection) => void this.#connections.delete(connection),
  }
  #closing = false

  private constructor(options: BrokerOptions) {
    const { audit } = options
    this.#hub = new Hub(options, {
      storeFailure: (error) => this.#standstill.endAll(codeOf(error)),
      overflow: (session) => overflow(this.#hub, session),
      crowded: () => relieve(this.#hub),
      rightsOver: () => void this.#recheck.begin(),
    })
    this.#recheck = new Recheck(this.#hub)
    this.#standstill = new Standstill(this.#hub, this.#connections)
    this.#systemTopics = new SystemTopics(this.#hub)
    this.#halfOpen = new HalfOpen(this.#hub.limits, this.#hub.elapsed)
    this.#stopListening = [
      audit.onCongestion((congested) => this.#standstill.logCongested(congested)),
      audit.onEnd(() => this.#standstill.endAll('the audit log has ended')),
    ]
    this.#sweeper = setInterval(() => this.#sweep(), this.#hub.limits.sweepMilliseconds)
    this.#sweeper.unref()
  }

  /** Finds the sessions, wills and retained messages of the process before. */
  static async open(options: BrokerOptions): Promise<Broker> {
    const broker = new Broker(options)
    try {
      await restore(broker.#hub)
    } catch (error) {
      broker.#stop()
      throw error
    }
    return broker
  }

  /** @throws BrokerError LISTEN_FAILED */
  async listen(options: ListenOptions): Promise<{ readonly port: number }> {
    const { limits, elapsed, refusals } = this.#hub
    const listener = await listen(options, {
      ...{ limits, elapsed, halfOpen: this.#halfOpen },
      welcome: (transport) => this.#welcome(transport),
      refused: ({ address, ...why }) => refusals.record({ peer: address, ...why }),
    })
    this.#listeners.push(listener)
    return { port: listener.port }
  }

  /** Shows this credential, and trusts these CAs, in every handshake from now on; connections that are there stay. */
  renewTls(tls: TlsCredential): void {
    for (const listener of this.#listeners) listener.renewTls(tls)
  }

  /** Takes the voice and ears of devices, see {@link silence}. */
  endDevices(devices: Iterable<DeviceId>, reason: SilenceReason): Ended {
    return silence(this.#hub, this.#connections, new Set(devices), reason)
  }

  /**
   * A change of who is kept out. When this returns it acts: those whom it is on are gone, those whom it no longer is on
   * may come back, and who has entered or left quarantine goes on with the rights of now. Sessions are held against the
   * registry again, because a lock can be on where their clients come from.
   */
  applyLocks(change: Omit<LockChange, 'revision'>): Ended {
    const { after, revoked, locked, quarantined, restored, released, device } = change
    const hub = this.#hub
    if (after === undefined) hub.keptOut.clear() // the whole state: who is not named any more is free
    for (const device of restored) hub.keptOut.delete(device)
    for (const device of [...quarantined, ...released]) this.rightsChanged(device)
    holdBack(hub, new Set(quarantined))
    const ended = [
      this.endDevices(revoked, 'revoked'),
      this.endDevices(locked, 'locked'),
      turnOut(hub, this.#connections, device),
    ]
    if (after === undefined) void this.policyChanged()
    return ended.reduce((sum, { sessions, purged }) => {
      return { sessions: sum.sessions + sessions, purged: sum.purged + purged }
    })
  }

  /** Looks at the lease, as each sweep does. While it is over everything stands still, see {@link Standstill}. */
  leaseLooked(): void {
    this.#standstill.lookAtLease()
  }

  /** An operator's act against one session; undefined when there is none with this client id. */
  kick(clientId: string, how: { readonly forget: boolean }): Kicked | undefined {
    return kick(this.#hub, clientId, how)
  }

  /**
   * Another certificate of the device was used for the first time, so its connections are held against the registry
   * again. What a renewal has left behind goes on until it reconnects; what a new join has left behind is another
   * machine, and ends at once and without its will. Returns how many did.
   */
  certificatesChanged(device: DeviceId): number {
    let ended = 0
    for (const connection of this.#connections) {
      const { identity, closed } = connection
      if (closed || identity?.deviceId !== device) continue
      const admission = this.#hub.admissionOf(identity, connection.address)
      if (admission.admitted || admission.reason === 'previous') continue
      connection.close('superseded', admission.reason)
      ended++
    }
    return ended
  }

  /**
   * The rights of all may be others: from here on nothing is decided by those of before. Resolves when what they no
   * longer allow has ended, with how many are connected.
   */
  policyChanged(): Promise<number> {
    return this.#recheck.begin()
  }

  /** The rights of one device are others, and what they no longer allow has ended when this returns. */
  rightsChanged(device: DeviceId): void {
    for (const session of this.#hub.sessions.of(device)) session.forgetRights()
    for (const session of this.#hub.sessions.of(device)) holdToRights(this.#hub, session)
  }

  /** A device offers other services than before, or can be found no more: whoever may see them hears of it. */
  servicesChanged(change: OfferChange): void {
    this.#hub.services.change(change)
  }

  /** False once the audit log or the store has failed: then every device is turned away until the process starts again. */
  get healthy(): boolean {
    return this.#hub.healthy
  }

  /** What was done since it was opened. */
  get statistics(): Statistics {
    return this.#hub.statistics
  }

  /** How much there is now. */
  levels(): Levels {
    return levelsOf(this.#hub)
  }

  sessions(): readonly SessionView[] {
    return [...this.#hub.sessions].map((session) => viewSession(session, this.#hub.elapsed()))
  }

  /** Whether one of its sessions has a live connection. */
  isOnline(device: DeviceId): boolean {
    return this.#hub.sessions.of(device).some(({ link }) => link !== undefined)
  }

  /** One by one, for whoever pauses in between: those that come and go meanwhile may be among them or not. */
  *liveSessions(): Iterable<LiveSession> {
    for (const session of this.#hub.sessions) yield liveSession(session, this.#hub.sessions.of(session.device))
  }

  /** Takes no new work, lets what was accepted become durable and be answered, and then ends all sessions without wills. */
  async closeGracefully(): Promise<void> {
    this.#closing = true
    for (const listener of this.#listeners) listener.close()
    for (const connection of this.#connections) connection.hold()
    const { trail, store, limits, refusals, decisions, sessions, delivery } = this.#hub
    const deadline = new Deadline(limits.drainSeconds)
    await deadline.before(trail.settled())
    await deadline.before(store.flushed())
    for (const connection of this.#connections) connection.close('shutdown', undefined, { flush: true })
    refusals.sweep({ all: true })
    decisions.sweep({ all: true })
    await deadline.before(this.#allGone())
    for (const connection of this.#connections) connection.destroy()
    for (const session of sessions) delivery.replays.finish(session)
    await deadline.before(store.flushed())
    deadline.end()
    this.#stop()
  }

  #welcome(transport: Transport): void {
    const connection = new Connection(transport, this.#hub, this.#events)
    this.#connections.add(connection)
    if (this.#closing) connection.close('shutdown')
    else this.#standstill.welcome(connection)
  }

  #sweep(): void {
    this.#halfOpen.sweep()
    this.#standstill.sweep()
    for (const connection of this.#connections) connection.sweep()
    this.#systemTopics.sweep()
    sweep(this.#hub)
  }

  async #allGone(): Promise<void> {
    const gone = [...this.#connections].map((connection) => connection.whenGone())
    await Promise.all(gone)
  }

  #stop(): void {
    clearInterval(this.#sweeper)
    this.#halfOpen.end()
    for (const stop of this.#stopListening) stop()
    this.#hub.rightsTerm.end()
    this.#recheck.end()
    this.#hub.trail.close()
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
