import { createHash } from 'node:crypto'
import { type MessagePort, MessageChannel, Worker } from 'node:worker_threads'
import { messageOf } from '#protocol'
import { decodePublic, type StoredSigningKey, toSpki, type Tpm, TpmError, type TpmKey as LoadedKey } from '#tpm'
import type { DeviceKey, TlsConnection, TlsTarget } from './device-key.js'
import { AgentError, type AgentErrorCode } from './errors.js'
import type { TpmAccess } from './shared-tpm.js'
import { openTls } from './tls.js'
import { TlsThreadStream } from './tls-thread-stream.js'
import { loadAddon } from './tpm-key-addon.js'
import {
  type FromThread,
  type OpenTls,
  SignatureSlot,
  type SignDigest,
  type TlsThreadData,
} from './tpm-tls-messages.js'

/** SEC 1 §2.3.3: an uncompressed P-256 point; the last bytes of its SubjectPublicKeyInfo. */
const pointBytes = 65

/** A P-256 key that never leaves its TPM; TLS with it runs in a thread of its own, started at the first connection. */
export class TpmKey implements DeviceKey {
  readonly kind = 'tpm'
  readonly spki: Uint8Array
  readonly #access: TpmAccess
  readonly #stored: StoredSigningKey
  /** In the TPM as it is open now; one that was opened anew has forgotten it. */
  #loaded: { readonly tpm: Tpm; readonly key: LoadedKey } | undefined
  #thread: Worker | undefined
  /** Why the TPM last did not sign. */
  #problem: unknown

  /** Asks nothing of the TPM yet. @throws TpmError STRUCTURE_INVALID */
  constructor(access: TpmAccess, stored: StoredSigningKey) {
    this.#access = access
    this.#stored = stored
    this.spki = toSpki(decodePublic(stored.public))
  }

  /** Closing the TPM remains the caller's affair. @throws TpmError TPM_COMMAND_FAILED when the key belongs to another TPM */
  static async load(tpm: Tpm, stored: StoredSigningKey): Promise<TpmKey> {
    const key = new TpmKey({ use: (work) => work(tpm) }, stored)
    await key.use(() => Promise.resolve())
    return key
  }

  /** Has the TPM do something with the key loaded. */
  use<T>(work: (tpm: Tpm, key: LoadedKey) => Promise<T>): Promise<T> {
    return this.#access.use(async (tpm) => {
      if (this.#loaded?.tpm !== tpm) this.#loaded = { tpm, key: await tpm.loadSigningKey(this.#stored) }
      return work(tpm, this.#loaded.key)
    })
  }

  sign(data: Uint8Array): Promise<Uint8Array> {
    return this.#signDigest(createHash('sha256').update(data).digest())
  }

  /** @throws AgentError KEY_UNAVAILABLE without the native addon, or when the TPM does not sign */
  async connect(target: TlsTarget): Promise<TlsConnection> {
    const { certificateChain, verify, ...rest } = target
    if (certificateChain === undefined) return openTls(target)
    const { port1: ours, port2: theirs } = new MessageChannel()
    const request: OpenTls = { ...rest, certificateChain, verifiedByAgent: verify !== undefined, channel: theirs }
    const thread = (this.#thread ??= this.#startThread())
    thread.postMessage(request, [theirs])
    const connection = await handshake(ours, thread, () => this.#problem)
    try {
      await verify?.(connection.peerChain)
    } catch (error) {
      connection.stream.destroy()
      throw error
    }
    return connection
  }

  async close(): Promise<void> {
    await this.#thread?.terminate()
    this.#thread = undefined
  }

  #signDigest(digest: Uint8Array): Promise<Uint8Array> {
    return this.use((tpm, key) => tpm.sign(key, digest))
  }

  #startThread(): Worker {
    loadAddon() // here too: its absence is told before anything is begun
    const slot = new SignatureSlot()
    const workerData: TlsThreadData = { point: this.spki.slice(-pointBytes), signature: slot.shared }
    const thread = new Worker(new URL('./tpm-tls-worker.js', import.meta.url), { workerData })
    thread.unref() // open connections keep the process alive, the thread alone does not
    thread.on('message', ({ digest, ticket }: SignDigest) => {
      this.#signDigest(digest).then(
        (signature) => slot.answer(ticket, signature),
        (error: unknown) => {
          this.#problem = error
          slot.answer(ticket, new Uint8Array()) // the handshake fails, and the agent tries again
        },
      )
    })
    thread.once('exit', () => {
      this.#thread = undefined
    })
    thread.on('error', () => undefined) // 'exit' follows, and every connection hears of it by its channel's end
    return thread
  }
}

/** A TPM that was cleared since cannot load what it made before: then a new key is due. */
export async function isOfThisTpm(tpm: Tpm, stored: StoredSigningKey): Promise<boolean> {
  try {
    await tpm.loadSigningKey(stored)
    return true
  } catch (error) {
    if (error instanceof TpmError && error.code === 'TPM_COMMAND_FAILED') return false
    throw error
  }
}

/** Resolves once the thread has a secure connection on this channel; `problem` says why the TPM did not sign, if it was that. */
function handshake(channel: MessagePort, thread: Worker, problem: () => unknown): Promise<TlsConnection> {
  return new Promise((resolve, reject) => {
    const lost = (): void => reject(new AgentError('KEY_UNAVAILABLE', 'the TLS thread of the TPM key ended'))
    thread.once('exit', lost)
    channel.once('message', (message: FromThread) => {
      thread.off('exit', lost)
      if (message.kind === 'open') {
        const stream = new TlsThreadStream(channel)
        thread.once('exit', () => stream.destroy())
        const { peerChain } = message
        return resolve({ stream, peerChain, exportKeyingMaterial: (length, label) => stream.export(length, label) })
      }
      const { code, message: text } =
        message.kind === 'failed' ? message : { code: 'UNREACHABLE', message: 'closed during the TLS handshake' }
      if (code !== 'KEY_UNAVAILABLE') return reject(new AgentError(code as AgentErrorCode, text))
      const cause = problem()
      reject(new AgentError(code, cause === undefined ? text : `the TPM did not sign: ${messageOf(cause)}`, { cause }))
    })
  })
}
