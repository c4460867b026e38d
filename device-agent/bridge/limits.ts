/** What programs on the device can make the bridge hold or wait for. Every bound of it has its name here. */
export interface BridgeLimits {
  /** Programs at once, those that have not said CONNECT yet included. */
  readonly maxPrograms: number
  readonly maxClientIdBytes: number
  /** The largest packet of a program, its header included; with `~` written out it must still be one for the service. */
  readonly maxPacketBytes: number
  /** Topic filters of one program, and of all together. */
  readonly maxFiltersPerProgram: number
  readonly maxFilters: number
  /** What a program was sent and has not read; beyond it QoS 0 messages to it are dropped, and QoS 1 ends its connection. */
  readonly maxUnreadBytes: number
  /** What one program may say in a second; beyond it its connection is read more slowly. */
  readonly maxHeardPerSecond: number
  /** Messages that wait for the service, in memory and on disk, and the bytes of their files. */
  readonly maxQueuedMessages: number
  readonly maxQueuedBytes: number
  /** What of them may wait in memory for the disk. */
  readonly maxUnwrittenBytes: number
  /** How long a message may wait for the service's answer before it is written to disk, while the connection stands. */
  readonly lingerMs: number
  /** How long a disk that failed is left alone. */
  readonly retryDiskMs: number
  /** Messages sent and not yet answered. */
  readonly maxInFlight: number
  /** So many messages a second at most, so that a device that comes back with days of them is no flood. */
  readonly maxSentPerSecond: number
  /** How often a message is sent that the service has no room for, or ends the connection over, before it is given up. */
  readonly maxTries: number
  /** How long a program's SUBSCRIBE waits for the service's answer; later refusals stand in the status. */
  readonly subscribeSeconds: number
  /** The status goes out, and refusals go to the log, at most so often. */
  readonly statusEveryMs: number
}

export const defaultBridgeLimits: BridgeLimits = {
  maxPrograms: 64,
  maxClientIdBytes: 128,
  maxPacketBytes: 255 * 1024,
  maxFiltersPerProgram: 100,
  maxFilters: 500,
  maxUnreadBytes: 1024 * 1024,
  maxHeardPerSecond: 1000,
  maxQueuedMessages: 100_000,
  maxQueuedBytes: 64 * 1024 * 1024,
  maxUnwrittenBytes: 2 * 1024 * 1024,
  lingerMs: 200,
  retryDiskMs: 5_000,
  maxInFlight: 16,
  maxSentPerSecond: 200,
  maxTries: 10,
  subscribeSeconds: 10,
  statusEveryMs: 1000,
}
