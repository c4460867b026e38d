import { isDeepStrictEqual } from 'node:util'
import {
  bytes,
  decodeJson,
  encodeBase64url,
  integer,
  list,
  object,
  optional,
  ProtocolError,
  text,
  word,
} from '#protocol'
import type { StoredSigningKey } from '#tpm'
import { AgentError } from './errors.js'
import { SoftwareKey } from './software-key.js'

/** A device's key as it lies in a generation folder: in the clear, or as a blob that opens in one TPM only. */
export type KeyFile =
  | { readonly kind: 'software'; readonly pem: string }
  | {
      readonly kind: 'tpm'
      /** The text by which its TPM is opened. */
      readonly tpm: string
      readonly stored: StoredSigningKey
      readonly proof: ProofOptions
    }

/** How this device's own configuration has it prove a key in a TPM, at the join and at every renewal. */
export interface ProofOptions {
  /** A nonce only where the agent's own configuration says so, never because a server asks. */
  readonly binding: 'exporter' | 'nonce'
  /** PCRs to quote; none: no quote. Default: those that the service asks for */
  readonly pcrs?: readonly number[]
  /** The file with what the firmware has measured; sent only where the service asks. Default: where Linux shows it */
  readonly eventLog?: string
}

/** A generation holds exactly one of these. */
export const keyFileNames = { software: 'key.pem', tpm: 'key.tpm' } as const satisfies Record<KeyFile['kind'], string>

export function createSoftwareKeyFile(): KeyFile {
  return { kind: 'software', pem: SoftwareKey.create().toPem() }
}

/** Whether two generations have one key, and need not be opened each. */
export function isSameKey(one: KeyFile, other: KeyFile): boolean {
  return isDeepStrictEqual(one, other)
}

export function encodeKeyFile(key: KeyFile): string {
  if (key.kind === 'software') return key.pem
  const stored = { public: encodeBase64url(key.stored.public), private: encodeBase64url(key.stored.private) }
  return `${JSON.stringify({ tpm: key.tpm, ...key.proof, ...stored }, undefined, 2)}\n`
}

/** @throws AgentError STATE_INVALID */
export function decodeKeyFile(kind: KeyFile['kind'], content: string): KeyFile {
  if (kind === 'software') return { kind, pem: content }
  try {
    const { tpm, binding = 'exporter', pcrs, eventLog, ...stored } = decodeJson(content, tpmKey, keyFileNames.tpm)
    const asked = { ...(pcrs !== undefined && { pcrs }), ...(eventLog !== undefined && { eventLog }) }
    return { kind, tpm, proof: { binding, ...asked }, stored }
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new AgentError('STATE_INVALID', cause.message, { cause })
  }
}

const tpmKey = object({
  tpm: text(1024),
  binding: optional(word('exporter', 'nonce')),
  pcrs: optional(list(integer(0, 23), 24)),
  eventLog: optional(text(4096)),
  public: bytes(1024),
  private: bytes(2048),
})
