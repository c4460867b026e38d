import { bytes, decodeJson, encodeBase64url, object, ProtocolError, text } from '#protocol'
import type { StoredSigningKey } from '#tpm'
import { AgentError } from './errors.js'
import { SoftwareKey } from './software-key.js'

/** A device's key as it lies in a generation folder: in the clear, or as a blob that opens in one TPM only. */
export type KeyFile =
  | { readonly kind: 'software'; readonly pem: string }
  | { readonly kind: 'tpm'; readonly tpm: string; readonly stored: StoredSigningKey }

/** A generation holds exactly one of these. */
export const keyFileNames = { software: 'key.pem', tpm: 'key.tpm' } as const satisfies Record<KeyFile['kind'], string>

export function createSoftwareKeyFile(): KeyFile {
  return { kind: 'software', pem: SoftwareKey.create().toPem() }
}

export function encodeKeyFile(key: KeyFile): string {
  if (key.kind === 'software') return key.pem
  const stored = { public: encodeBase64url(key.stored.public), private: encodeBase64url(key.stored.private) }
  return `${JSON.stringify({ tpm: key.tpm, ...stored }, undefined, 2)}\n`
}

/** @throws AgentError STATE_INVALID */
export function decodeKeyFile(kind: KeyFile['kind'], content: string): KeyFile {
  if (kind === 'software') return { kind, pem: content }
  try {
    const { tpm, ...stored } = decodeJson(content, tpmKey, keyFileNames.tpm)
    return { kind, tpm, stored }
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new AgentError('STATE_INVALID', cause.message, { cause })
  }
}

const tpmKey = object({ tpm: text(1024), public: bytes(1024), private: bytes(2048) })
