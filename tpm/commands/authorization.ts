import { TpmError } from '../errors.js'
import { type TpmReader, TpmWriter } from '../structures/codec.js'
import type { CommandFacts } from './command-table.js'

/**
 * One entry of a command's authorization area, and what it makes of the answer (Part 1 §18.6). The four are called in
 * this order, once for each command; `covered` is what the entry's HMAC speaks of.
 */
export interface Authorization {
  /** The parameters as they go over the bus. */
  conceal(parameters: Uint8Array, facts: CommandFacts): Uint8Array
  /** TPMS_AUTH_COMMAND (Part 2 §10.13.2). */
  authorize(covered: Uint8Array): Uint8Array
  /** Reads TPMS_AUTH_RESPONSE (Part 2 §10.13.3), and throws unless the response is what the TPM has sent. */
  accept(reader: TpmReader, covered: Uint8Array): void
  /** The parameters as the TPM meant them. */
  reveal(parameters: Uint8Array): Uint8Array
}

/** TPM_RS_PW (Part 2 §7.4). */
const passwordSession = 0x40000009
/** TPMA_SESSION (Part 2 §8.4): a password has none of the others. */
const continueSession = 1
const nothing = new Uint8Array(0)

/** For entities with an empty authorization value, where there is nothing to keep from the bus. It proves nothing. */
export const emptyPassword: Authorization = {
  conceal: (parameters) => parameters,
  authorize: () =>
    new TpmWriter().uint32(passwordSession).sized(nothing).uint8(continueSession).sized(nothing).encoded(),
  accept: (reader) => {
    reader.sized(0) // neither a nonce
    const attributes = reader.uint8()
    reader.sized(0) // nor an HMAC
    if (attributes !== continueSession) throw new TpmError('TPM_RESPONSE_INVALID', 'another session was answered')
  },
  reveal: (parameters) => parameters,
}
