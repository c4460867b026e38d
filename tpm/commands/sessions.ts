import { randomBytes } from 'node:crypto'
import { algorithmIds } from '../structures/algorithms.js'
import { TpmWriter } from '../structures/codec.js'
import { type HierarchyName, hierarchies } from '../structures/names.js'
import type { Transport } from '../transport/transport.js'
import { emptyPassword, execute } from './command.js'

const nothing = new Uint8Array(0)
const maxNonceBytes = 64
/** TPM_SE_POLICY (Part 2 table 20). */
const policySessionType = 1

/** TPM2_StartAuthSession (Part 3 §11.1): unbound and unsalted, to collect the assertions of a policy. */
export function startPolicySession(transport: Transport): Promise<number> {
  const parameters = new TpmWriter()
    .sized(randomBytes(32))
    .sized(nothing)
    .uint8(policySessionType)
    .uint16(algorithmIds.null)
    .uint16(algorithmIds.sha256)
    .encoded()
  const handles = [hierarchies.null, hierarchies.null]
  return execute(transport, { name: 'StartAuthSession', handles, parameters, givesHandle: true }, (reader, handle) => {
    reader.sized(maxNonceBytes)
    return handle
  })
}

/** TPM2_PolicySecret (Part 3 §23.4): shows the session that the caller holds the hierarchy's authorization. */
export function policySecret(transport: Transport, hierarchy: HierarchyName, session: number): Promise<void> {
  const parameters = new TpmWriter().sized(nothing).sized(nothing).sized(nothing).uint32(0).encoded()
  const handles = [hierarchies[hierarchy], session]
  return execute(transport, { name: 'PolicySecret', handles, sessions: [emptyPassword], parameters }, (reader) => {
    reader.rest() // a time-out and a ticket for later use, neither of which was asked for
  })
}
