import { setTimeout as delay } from 'node:timers/promises'
import { TpmError } from '../errors.js'
import { TpmReader, TpmWriter } from '../structures/codec.js'
import { maxResponseBytes, responseHeaderBytes, type Transport } from '../transport/transport.js'
import { explainResponseCode, mayBeRetried } from './response-codes.js'

/** TPM_CC (Part 2 table 12), the commands that are spoken here. */
const commandCodes = {
  CreatePrimary: 0x131,
  ActivateCredential: 0x147,
  Certify: 0x148,
  NV_Read: 0x14e,
  PolicySecret: 0x151,
  Create: 0x153,
  Load: 0x157,
  Quote: 0x158,
  Sign: 0x15d,
  ContextLoad: 0x161,
  ContextSave: 0x162,
  FlushContext: 0x165,
  NV_ReadPublic: 0x169,
  StartAuthSession: 0x176,
  GetCapability: 0x17a,
  PCR_Read: 0x17e,
} as const

/** One command (Part 1 §18): handles, one session per handle that needs authorization, parameters. */
export interface Command {
  readonly name: keyof typeof commandCodes
  readonly handles?: readonly number[]
  /** Session handles; `emptyPassword` for keys and hierarchies whose authorization value is empty, as all here are. */
  readonly sessions?: readonly number[]
  readonly parameters?: Uint8Array
  /** The response names something that is loaded now, and must be flushed. */
  readonly givesHandle?: true
}

/** TPM_RS_PW (Part 2 table 31). */
export const emptyPassword = 0x40000009

const tags = { noSessions: 0x8001, sessions: 0x8002 } as const
const continueSession = 1
const maxAttempts = 12
const maxSessionFieldBytes = 64

/**
 * Sends one command, again while the TPM says "not now", and has `read` take all of the response's parameters.
 * @throws TpmError TPM_COMMAND_FAILED with the response code in words, or TPM_RESPONSE_INVALID
 */
export async function execute<T>(
  transport: Transport,
  command: Command,
  read: (parameters: TpmReader, handle: number) => T,
): Promise<T> {
  const request = encodeCommand(command)
  for (let attempt = 1; ; attempt++) {
    const response = await transport.send(request)
    const code = responseCodeOf(command, response)
    if (code === 0) return decodeResponse(command, response, read)
    if (!mayBeRetried(code) || attempt === maxAttempts) {
      throw new TpmError('TPM_COMMAND_FAILED', `TPM2_${command.name}: ${explainResponseCode(code)}`)
    }
    await delay(Math.min(5 * 2 ** attempt, 500))
  }
}

function encodeCommand({ name, handles = [], sessions = [], parameters = new Uint8Array(0) }: Command): Uint8Array {
  const body = new TpmWriter()
  for (const handle of handles) body.uint32(handle)
  if (sessions.length > 0) body.uint32(sessions.length * 9).bytes(encodeSessions(sessions))
  const rest = body.bytes(parameters).encoded()
  const tag = sessions.length > 0 ? tags.sessions : tags.noSessions
  return new TpmWriter()
    .uint16(tag)
    .uint32(rest.length + 10)
    .uint32(commandCodes[name])
    .bytes(rest)
    .encoded()
}

/** TPMS_AUTH_COMMAND (Part 2 table 137): no nonce and no HMAC, for neither passwords nor policies here need them. */
function encodeSessions(sessions: readonly number[]): Uint8Array {
  const writer = new TpmWriter()
  for (const session of sessions) writer.uint32(session).uint16(0).uint8(continueSession).uint16(0)
  return writer.encoded()
}

function responseCodeOf(command: Command, response: Uint8Array): number {
  if (response.length < responseHeaderBytes || response.length > maxResponseBytes) {
    throw invalid(command, `${response.length} bytes`)
  }
  const reader = new TpmReader(response)
  reader.uint16()
  const size = reader.uint32()
  if (size !== response.length) throw invalid(command, `${response.length} bytes that say they are ${size}`)
  return reader.uint32()
}

/** Response parameters stand before the sessions' answers (Part 1 §18.7); nothing may be left of either. */
function decodeResponse<T>(
  command: Command,
  response: Uint8Array,
  read: (parameters: TpmReader, handle: number) => T,
): T {
  const sessions = command.sessions ?? []
  try {
    const reader = new TpmReader(response)
    const tag = reader.uint16()
    if (tag !== (sessions.length > 0 ? tags.sessions : tags.noSessions)) throw invalid(command, 'the wrong tag')
    reader.bytes(responseHeaderBytes - 2)
    const handle = command.givesHandle ? reader.uint32() : 0
    const parameters = new TpmReader(sessions.length > 0 ? reader.bytes(reader.uint32()) : reader.rest())
    for (const _session of sessions) readSession(reader)
    reader.end()
    const result = read(parameters, handle)
    parameters.end()
    return result
  } catch (cause) {
    if (cause instanceof TpmError && cause.code === 'TPM_RESPONSE_INVALID') throw cause
    throw new TpmError('TPM_RESPONSE_INVALID', `the response to TPM2_${command.name} cannot be read`, { cause })
  }
}

/** TPMS_AUTH_RESPONSE (Part 2 table 138). */
function readSession(reader: TpmReader): void {
  reader.sized(maxSessionFieldBytes)
  reader.uint8()
  reader.sized(maxSessionFieldBytes)
}

function invalid({ name }: Command, what: string): TpmError {
  return new TpmError('TPM_RESPONSE_INVALID', `TPM2_${name} was answered with ${what}`)
}
