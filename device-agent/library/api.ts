/** What `touchmark/agent` promises to programs that have the agent in them. Nothing of ours stands behind these types. */

/** Why something failed; `code` is stable, `message` is for people. */
export interface Failure extends Error {
  readonly code: string
}

export interface EnrollOptions {
  /** `touchmark://HOST:PORT/PROFILE?pin=sha256:…`, as the service prints it. */
  readonly join: string
  /** Where the device's key and certificates are kept; made where there is none. Only one agent at a time works there. */
  readonly folder: string
  /** A join token, `tm1.…`. This or `tpm` is needed; some services want both. */
  readonly token?: string
  /** Proves a TPM and keeps the key in it: `/dev/tpmrm0`, `swtpm:PATH` or `swtpm:HOST:PORT`. */
  readonly tpm?: string
  /** What the device tells of itself; the service stores it as reported, and no right follows from it. */
  readonly reported?: Readonly<Record<string, string>>
}

export interface Identity {
  readonly deviceId: string
  /** The end of the certificate; `connect` renews it long before. */
  readonly notAfter: Date
}

export interface ConnectOptions {
  /** The same as for `enroll`. */
  readonly folder: string
  /** Publish `{"online":true}` here, retained, and false as the will; `{id}` is the device id. */
  readonly announce?: string
}

export interface Message {
  readonly topic: string
  readonly payload: Uint8Array
  /** Whether it is what the topic said last, and not news (MQTT 5.0 §3.3.1.3). */
  readonly retain: boolean
}

export interface PublishOptions {
  /** Keep it at the service for those who subscribe later. Default: false. */
  readonly retain?: boolean
}

export interface Subscription {
  unsubscribe(): void
}

export interface DeviceEvents {
  connected: []
  /** It connects again by itself, soon and then ever later, up to a minute. */
  disconnected: [reason: Failure]
  /** The service does not let this device in: it is locked or revoked. The agent goes on asking. */
  locked: [reason: Failure]
  renewed: [notAfter: Date]
  /** A filter that was granted once is not any more; nothing comes to its listener. */
  refused: [filter: string, reason: Failure]
  /** Whatever the agent would write to its log, what is above included. */
  log: [event: string, facts: Readonly<Record<string, string | number>>]
}

export interface ServicesWanted {
  /** The same as for `enroll`. */
  readonly folder: string
  /** Of the devices that offer them. */
  readonly labels?: Readonly<Record<string, string>>
  /** A name, or the beginning of one and a `*`; as `protocol`. */
  readonly service?: string
  readonly protocol?: string
}

/** A service that another device says it offers. */
export interface FoundService {
  readonly device: string
  readonly labels: Readonly<Record<string, string>>
  readonly service: string
  readonly protocol: string
  readonly port: number
  /** Where the device says that it is reached. */
  readonly host?: string
  /** Whether the device is connected now. */
  readonly online: boolean
}

/** A device that stays connected and certified until it is closed. */
export interface Device {
  readonly deviceId: string
  readonly isConnected: boolean
  on<Event extends keyof DeviceEvents>(event: Event, listener: (...facts: DeviceEvents[Event]) => void): Device
  off<Event extends keyof DeviceEvents>(event: Event, listener: (...facts: DeviceEvents[Event]) => void): Device
  /**
   * Resolves when the service has the message; while there is no connection that waits for one, and what a lost
   * connection left unanswered is sent again. At most 1,000 wait, in memory only.
   * Rejects with `BROKER_REFUSED` (the policy does not allow it), `INVALID_TOPIC`, `QUEUE_FULL`, or `CONNECTION_LOST`
   * after `close`.
   */
  publish(topic: string, payload: string | Uint8Array, options?: PublishOptions): Promise<void>
  /**
   * Resolves when the service has granted the filter; the listener hears what comes, over new connections too.
   * Rejects with `BROKER_REFUSED`, `INVALID_TOPIC`, or `CONNECTION_LOST` after `close`.
   */
  subscribe(filter: string, listener: (message: Message) => void): Promise<Subscription>
  /** Says goodbye, lets go of the folder and the TPM. Rejects with what ended the agent, if that was not this. */
  close(): Promise<void>
}
