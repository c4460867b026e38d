import { BrokerError } from '../errors.js'

/** Bytes that cannot be read by the standard's grammar (MQTT 5.0 §4.13.1). */
export function malformed(problem: string, cause?: unknown): BrokerError {
  return new BrokerError('MALFORMED_PACKET', problem, cause === undefined ? undefined : { cause })
}

/** What can be read and must not be said: MQTT 5 calls it a protocol error (MQTT 5.0 §1.2). */
export function violation(problem: string): BrokerError {
  return new BrokerError('PROTOCOL_VIOLATION', problem)
}
