/** What any peer can make the broker hold or wait for. Every bound of this room has its name here. */
export interface BrokerLimits {
  /** Network connections at once; the rest wait in the backlog of the operating system or are turned away. */
  readonly maxConnections: number
  /** Connections at once that have not been answered with CONNACK yet; some 60 kB each at the very most. */
  readonly maxUnconnected: number
  /** The largest packet, its header included; checked when the length is announced. */
  readonly maxPacketBytes: number
  /** The same before CONNACK: a CONNECT with its will. */
  readonly maxConnectBytes: number
  /** Topic filters in one SUBSCRIBE or UNSUBSCRIBE. */
  readonly maxFiltersPerPacket: number
  /** User properties in one packet, and their bytes with what frames them. */
  readonly maxUserProperties: number
  readonly maxUserPropertyBytes: number
  /** From the first packet of TCP to the end of the TLS handshake, the header of a proxy included. */
  readonly handshakeSeconds: number
  /** From the TLS handshake to a complete CONNECT, and for CONNECT to be answered. */
  readonly connectSeconds: number
  /** From a packet's first byte to its last. */
  readonly packetSeconds: number
  /** What keep alive 0 ("never") and all larger values mean here. */
  readonly maxKeepAliveSeconds: number
  /** Publishes of one connection that wait for the audit log or the store; then its socket is not read. */
  readonly maxWaiting: number
  readonly maxWaitingBytes: number
  /** QoS 1 and 2 messages of a session that are not finished; MQTT 5 is told so as receive maximum. At most 65,535. */
  readonly maxReceived: number
  /** Topic aliases of a connection, each way. */
  readonly maxTopicAliases: number
  /** Answers that one connection may have waiting for its client to read them; then it is not read either. */
  readonly maxAnswers: number
  /** Packets of one connection, or topic filters in them, that are handled in one turn of the event loop; then it is the others' turn. */
  readonly packetsPerTurn: number
  /** How long one connection may take in such a turn, with the packet that goes beyond it. */
  readonly turnMilliseconds: number
  /** How long sessions are held to rights that have changed in one turn of the event loop, with the one that goes beyond it. */
  readonly recheckMilliseconds: number
  /** QoS 1 and 2 messages sent and not yet acknowledged, per session; less where a client of MQTT 5 asks for less. */
  readonly maxInflight: number
  /** The same for clients of MQTT 3.1.1, which cannot say how many they can take. */
  readonly maxInflightUnasked: number
  /** Messages waiting for one session, connected or not; beyond them the session is ended. */
  readonly maxQueued: number
  readonly maxQueuedBytes: number
  /**
   * The same for all sessions together, and what they have not acknowledged; beyond them the sessions that hold the most
   * are ended. QoS 0 messages wait for nobody but their sockets, see `maxOutputBytes`.
   */
  readonly maxHeldBytes: number
  /** Bytes waiting for one socket; beyond them QoS 0 messages to it are dropped and QoS 1 messages wait in the queue. */
  readonly maxOutputBytes: number
  /** How long a socket may take for what it was handed at once, 64 KiB or one packet: how far it is cannot be seen. */
  readonly stallSeconds: number
  /** How long the state of a client that is away is kept. */
  readonly sessionExpirySeconds: number
  /** The longest that a message may wait for a session. */
  readonly maxQueuedSeconds: number
  /** How long wills that a crash or a shutdown has left behind wait after the start, at least. */
  readonly willDeferSeconds: number
  readonly maxSubscriptionsPerDevice: number
  /** Filters that a device may subscribe to, again or anew, or give up: so many at once, and as time passes so many more. */
  readonly filterChangesAtOnce: number
  readonly filterChangesPerSecond: number
  readonly maxRetainedPerDevice: number
  readonly maxRetainedBytesPerDevice: number
  /** How long the audit log may be congested before those whose publishes wait for it are told, and closed. */
  readonly congestionSeconds: number
  /** Refusals alike within this time after the first are counted in one record. */
  readonly refusalWindowSeconds: number
  /** Addresses whose refused connections are counted apart; beyond them all are counted together. */
  readonly maxRefusedPeers: number
  /** Topics by which a device's refusals are counted apart in that time; beyond them all are counted together. */
  readonly maxRefusedTopicsPerDevice: number
  /** How long a graceful close waits for the audit log, the store and the sockets. */
  readonly drainSeconds: number
  /** How often the service publishes its statistics below `$SYS`; 0: never. */
  readonly statisticsSeconds: number
  /** How often the time limits above are looked at. */
  readonly sweepMilliseconds: number
  /** How long a connection before CONNACK keeps its place against those whose source holds just as many. */
  readonly crowdedOutAfterSeconds: number
  /** The header by which a proxy says for whom it connects; the largest that HAProxy makes is a fraction of it. */
  readonly maxProxyHeaderBytes: number
  /** From the TLS handshake to the end of an HTTP request that asks for WebSocket. */
  readonly upgradeSeconds: number
  /** All header lines of that request. */
  readonly maxUpgradeBytes: number
  /** Pieces in which one WebSocket message may come. */
  readonly maxFragments: number
}

export const defaultLimits: BrokerLimits = {
  maxConnections: 20_000,
  maxUnconnected: 1_000,
  maxPacketBytes: 256 * 1024,
  maxConnectBytes: 128 * 1024,
  maxFiltersPerPacket: 1000,
  maxUserProperties: 100,
  maxUserPropertyBytes: 16 * 1024,
  handshakeSeconds: 10,
  connectSeconds: 10,
  packetSeconds: 30,
  maxKeepAliveSeconds: 1200,
  maxWaiting: 200,
  maxWaitingBytes: 1024 * 1024,
  maxReceived: 10_000,
  maxTopicAliases: 64,
  maxAnswers: 2000,
  packetsPerTurn: 64,
  turnMilliseconds: 1,
  recheckMilliseconds: 2,
  maxInflight: 1000,
  maxInflightUnasked: 64,
  maxQueued: 100_000,
  maxQueuedBytes: 32 * 1024 * 1024,
  maxHeldBytes: 512 * 1024 * 1024,
  maxOutputBytes: 1024 * 1024,
  stallSeconds: 20,
  sessionExpirySeconds: 7 * 24 * 3600,
  maxQueuedSeconds: 7 * 24 * 3600,
  willDeferSeconds: 10,
  maxSubscriptionsPerDevice: 1000,
  filterChangesAtOnce: 10_000,
  filterChangesPerSecond: 100,
  maxRetainedPerDevice: 1000,
  maxRetainedBytesPerDevice: 4 * 1024 * 1024,
  congestionSeconds: 2,
  refusalWindowSeconds: 10,
  maxRefusedPeers: 10_000,
  maxRefusedTopicsPerDevice: 100,
  drainSeconds: 5,
  statisticsSeconds: 10,
  sweepMilliseconds: 500,
  crowdedOutAfterSeconds: 1,
  maxProxyHeaderBytes: 2048,
  upgradeSeconds: 10,
  maxUpgradeBytes: 8 * 1024,
  maxFragments: 1024,
}
