import type { IPublishPacket } from 'mqtt'
import type { CodedError } from '#protocol'
import type { BrokerSession } from './broker.js'

/** Who speaks over the agent's connection besides the agent: it learns of each new one, and of why there is none. */
export interface Passenger {
  /** A session has begun; its `ended` says when it is over. */
  boarded(session: BrokerSession): void
  /** No session came of a try, or the last one has ended. */
  stranded(error: CodedError): void
  /** From the connection's first byte on: what waited at the service comes before anyone could have listened otherwise. */
  heard(topic: string, payload: Buffer, packet: IPublishPacket): void
}
