import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import {
  boolean,
  bytes,
  type Decoder,
  decodeJson,
  encodeBase64url,
  integer,
  list,
  object,
  optional,
  word,
} from '#protocol'
import { SimulatorError } from './errors.js'

const pkcs8 = bytes(4096)

export type SoftwareTpmState = typeof decodeState extends Decoder<infer State> ? State : never
/** What a software TPM keeps over power cycles: what a real one derives from its seeds, and its clock. */
const decodeState = object({
  endorsementKeys: list(
    object({
      template: word('rsa-2048', 'rsa-3072', 'ecc-p256', 'ecc-p384'),
      privateKey: pkcs8,
      /** DER; without it the NV index is empty. */
      certificate: optional(bytes(8192)),
    }),
    4,
  ),
  attestationKey: pkcs8,
  storageRootKey: pkcs8,
  /** Encrypts what leaves the TPM as TPM2B_PRIVATE. */
  storageSecret: bytes(32),
  /** Milliseconds that the TPM had power. */
  clock: integer(0, Number.MAX_SAFE_INTEGER),
  resetCount: integer(0, 0xffff_ffff),
  /** Whether `clock` was written at an orderly shutdown; if not, later values may have been reported. */
  orderly: boolean,
})

/** Undefined where the folder holds no TPM yet. @throws SimulatorError STATE_INVALID */
export async function readState(folder: string): Promise<SoftwareTpmState | undefined> {
  try {
    return decodeJson(await readFile(stateFile(folder), 'utf8'), decodeState, 'software TPM')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw new SimulatorError('STATE_INVALID', `${stateFile(folder)} is not the state of a software TPM`, { cause })
  }
}

/** Whole or not at all, and on the disk when it returns. */
export async function writeState(folder: string, state: SoftwareTpmState): Promise<void> {
  await mkdir(folder, { recursive: true })
  const draft = `${stateFile(folder)}.${randomBytes(4).toString('hex')}`
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(JSON.stringify(state, bytesAsText))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, stateFile(folder))
}

function stateFile(folder: string): string {
  return join(folder, 'software-tpm.json')
}

/** For Uint8Array itself; a Buffer would already have turned itself into something else. */
function bytesAsText(_name: string, value: unknown): unknown {
  return value instanceof Uint8Array ? encodeBase64url(value) : value
}
