import type { ApiClient } from '../client.js'
import { CliError, ServerRefusal } from '../errors.js'
import type { RecordedMessage } from './act.js'

export interface Payload {
  readonly bytes: Buffer
  /** It is not what was said. */
  readonly isPlaceholder: boolean
}

export interface PayloadChoice {
  /** Send a text that stands in for each payload that is not stored. */
  readonly placeholder: boolean
  /** Why they are read, for the log. */
  readonly comment?: string
}

export const emptyPayload: Payload = { bytes: Buffer.alloc(0), isPlaceholder: false }

/**
 * What a message said, as the server stored it. Never anything else, but where it is asked for: then what is not there
 * is stood in for by a text of the same size that says so.
 * @throws CliError PAYLOAD_MISSING
 */
export async function payloadOf(
  client: ApiClient,
  { sequence, size }: RecordedMessage,
  { placeholder, comment }: PayloadChoice,
): Promise<Payload> {
  if (size === 0) return emptyPayload
  try {
    return {
      bytes: await client.bytes('getPayload', { id: String(sequence), query: { comment } }),
      isPlaceholder: false,
    }
  } catch (cause) {
    if (!isMissing(cause)) throw cause
    if (placeholder) return { bytes: Buffer.alloc(size, `placeholder of ${sequence} `), isPlaceholder: true }
    throw missing(cause)
  }
}

function isMissing(error: unknown): error is ServerRefusal {
  return error instanceof ServerRefusal && (error.code === 'PAYLOAD_UNKNOWN' || error.code === 'PAYLOAD_ERASED')
}

function missing(cause: ServerRefusal): CliError {
  const advice =
    'Only what comes while touchmark.yaml says "audit: payload: store" can be sent again. ' +
    'With --placeholder a text of the same size is sent instead.'
  return new CliError('PAYLOAD_MISSING', `${cause.message}. ${advice}`, { cause })
}
