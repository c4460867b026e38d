import timers from 'node:timers/promises'
import { TpmError } from '../errors.js'
import { TpmReader, TpmWriter } from '../structures/codec.js'
import { maxResponseBytes, responseHeaderBytes, type Transport } from '../transport/transport.js'
import type { Authorization } from './authorization.js'
import { type CommandName, commandTable } from './command-table.js'
import { failureCode, mayBeRetried, refusalOf } from './refusals.js'

/** What a command's handle stands for. */
export interface Entity {
  readonly handle: number
  /** What HMACs call it (Part 1 §16). Absent where that is the handle itself, as for hierarchies and sessions. */
  readonly name?: Uint8Array
}

/** One command (Part 1 §18): handles, one authorization for each of the first of them, parameters. */
export interface Command {
  readonly name: CommandName
  readonly handles?: readonly Entity[]
  readonly authorizations?: readonly Authorization[]
  readonly parameters?: Uint8Array
  /** The response names something of this kind that is loaded now, and must be flushed. */
  readonly gives?: HandleKind
}

export type HandleKind = keyof typeof handleTypes

/** TPM_HT (Part 2 §7.2): the first byte of a handle. */
const handleTypes = { object: 0x80, hmacSession: 0x02, policySession: 0x03 } as const
/** TPM_ST (Part 2 §6.9). A TPM 1.2 answers every command of these with `version12`. */
const tags = { noSessions: 0x8001, sessions: 0x8002, version12: 0x00c4 } as const
const maxAttempts = 12
const maxTestDataBytes = 1024
const nothing = new Uint8Array(0)

/**
 * Sends one command, again while the TPM says "not now", and has `read` take all of the response's parameters.
 * @throws TpmError what the TPM refuses, or TPM_RESPONSE_INVALID or TPM_RESPONSE_FORGED for what no TPM has said
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
      throw refusalOf(command.name, code, { hasFailed: code === failureCode && (await hasFailed(transport, command)) })
    }
    await timers.setTimeout(Math.min(5 * 2 ** attempt, 500))
  }
}

/**
 * TPM2_GetTestResult (Part 3 §10.4), which a TPM in failure mode still answers. It is asked because libtpms says
 * TPM_RC_FAILURE to RSA ciphertexts of others as well, and goes on working.
 */
async function hasFailed(transport: Transport, { name }: Command): Promise<boolean> {
  if (name === 'GetTestResult') return true
  return execute(transport, { name: 'GetTestResult' }, (reader) => {
    reader.sized(maxTestDataBytes)
    return reader.uint32() !== 0
  })
}

function encodeCommand({ name, handles = [], authorizations = [], parameters = nothing }: Command): Uint8Array {
  const facts = commandTable[name]
  const concealed = authorizations.reduce((shown, entry) => entry.conceal(shown, facts), parameters)
  // Part 1 §18.7: cpHash is over the command code, the Names of the handles, and the parameters as they are sent.
  const covered = new TpmWriter().uint32(facts.code)
  const body = new TpmWriter()
  for (const entity of handles) {
    covered.bytes(entity.name ?? new TpmWriter().uint32(entity.handle).encoded())
    body.uint32(entity.handle)
  }
  if (authorizations.length > 0) {
    const hashed = covered.bytes(concealed).encoded()
    const area = Buffer.concat(authorizations.map((entry) => entry.authorize(hashed)))
    body.uint32(area.length).bytes(area)
  }
  const rest = body.bytes(concealed).encoded()
  return new TpmWriter()
    .uint16(tagOf(authorizations))
    .uint32(rest.length + 10)
    .uint32(facts.code)
    .bytes(rest)
    .encoded()
}

/** The size is what came, and a refusal is nothing but its code (Part 1 §18.2). */
function responseCodeOf({ name }: Command, response: Uint8Array): number {
  if (response.length < responseHeaderBytes || response.length > maxResponseBytes) {
    throw invalid(name, `${response.length} bytes`)
  }
  const reader = new TpmReader(response)
  const tag = reader.uint16()
  const size = reader.uint32()
  if (size !== response.length) throw invalid(name, `${response.length} bytes that say they are ${size}`)
  const code = reader.uint32()
  const bare = (tag === tags.noSessions || tag === tags.version12) && size === responseHeaderBytes
  if (code !== 0 && !bare) throw invalid(name, 'more than a refusal')
  return code
}

/** Response parameters stand before the sessions' answers (Part 1 §18.3); nothing may be left of either. */
function decodeResponse<T>(
  { name, authorizations = [], gives }: Command,
  response: Uint8Array,
  read: (parameters: TpmReader, handle: number) => T,
): T {
  try {
    const reader = new TpmReader(response)
    if (reader.uint16() !== tagOf(authorizations)) throw invalid(name, 'the wrong tag')
    reader.bytes(responseHeaderBytes - 2)
    const handle = gives === undefined ? 0 : readHandle(reader, gives)
    const shown = authorizations.length > 0 ? reader.bytes(reader.uint32()) : reader.rest()
    // Part 1 §18.8: rpHash is over the response code, the command code, and the parameters as they came.
    const covered = new TpmWriter().uint32(0).uint32(commandTable[name].code).bytes(shown).encoded()
    for (const entry of authorizations) entry.accept(reader, covered)
    reader.end()
    const parameters = new TpmReader(authorizations.reduce((hidden, entry) => entry.reveal(hidden), shown))
    const result = read(parameters, handle)
    parameters.end()
    return result
  } catch (cause) {
    if (cause instanceof TpmError && cause.code.startsWith('TPM_RESPONSE_')) throw cause
    throw new TpmError('TPM_RESPONSE_INVALID', `the response to TPM2_${name} cannot be read`, { cause })
  }
}

function readHandle(reader: TpmReader, kind: HandleKind): number {
  const handle = reader.uint32()
  if (handle >>> 24 !== handleTypes[kind]) {
    throw new TpmError('STRUCTURE_INVALID', `0x${handle.toString(16)} is no handle of an ${kind}`)
  }
  return handle
}

function tagOf(authorizations: readonly Authorization[]): number {
  return authorizations.length > 0 ? tags.sessions : tags.noSessions
}

function invalid(name: CommandName, what: string): TpmError {
  return new TpmError('TPM_RESPONSE_INVALID', `TPM2_${name} was answered with ${what}`)
}
