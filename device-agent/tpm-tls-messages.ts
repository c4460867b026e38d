import type { MessagePort } from 'node:worker_threads'

/*
 * What the agent and its TLS thread say to each other. The thread runs TLS for keys that stay in a TPM: OpenSSL wants
 * a signature at once, so the thread blocks in the handshake while the agent, which never blocks, asks the TPM.
 */

/** Given to the thread when it starts. */
export interface TlsThreadData {
  /** SEC 1 uncompressed point of the TPM's P-256 key. */
  readonly point: Uint8Array
  readonly signature: SharedArrayBuffer
}

/** Agent to thread: open a connection, and talk about it on `port`. */
export interface OpenTls {
  readonly host: string
  readonly port: number
  readonly ca: readonly string[]
  readonly certificateChain: string
  /** The agent judges the server's chain itself, before any data flows. */
  readonly verifiedByAgent: boolean
  readonly timeoutMs?: number
  readonly channel: MessagePort
}

/** Thread to agent: OpenSSL needs this SHA-256 digest signed; the answer goes into the shared signature slot. */
export interface SignDigest {
  readonly digest: Uint8Array
}

export type FromAgent =
  | { readonly kind: 'resume' }
  | { readonly kind: 'pause' }
  | { readonly kind: 'write'; readonly chunk: Uint8Array }
  | { readonly kind: 'end' }
  | { readonly kind: 'destroy' }
  | { readonly kind: 'export'; readonly length: number; readonly label: string }

export type FromThread =
  | { readonly kind: 'open'; readonly peerChain: readonly Uint8Array[] }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }
  | { readonly kind: 'data'; readonly chunk: Uint8Array }
  | { readonly kind: 'written' }
  | { readonly kind: 'exported'; readonly bytes: Uint8Array }
  | { readonly kind: 'ended' }
  | { readonly kind: 'closed' }

const stateIndex = 0
const lengthIndex = 1
const headerBytes = 8
const maxSignatureBytes = 128
const waiting = 0
const answered = 1
const signTimeoutMs = 30_000

/** One signature at a time, handed from the agent to the waiting thread. An empty one means that the TPM refused. */
export class SignatureSlot {
  readonly shared: SharedArrayBuffer
  readonly #numbers: Int32Array
  readonly #bytes: Uint8Array

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(headerBytes + maxSignatureBytes)) {
    this.shared = shared
    this.#numbers = new Int32Array(shared, 0, 2)
    this.#bytes = new Uint8Array(shared, headerBytes)
  }

  /** Agent's side. */
  answer(signature: Uint8Array): void {
    const fits = signature.length <= maxSignatureBytes
    if (fits) this.#bytes.set(signature)
    Atomics.store(this.#numbers, lengthIndex, fits ? signature.length : 0)
    Atomics.store(this.#numbers, stateIndex, answered)
    Atomics.notify(this.#numbers, stateIndex)
  }

  /** Thread's side: asks, then blocks until the answer is there. @throws Error when the TPM refused or never answered */
  ask(post: () => void): Uint8Array {
    Atomics.store(this.#numbers, stateIndex, waiting)
    post()
    if (Atomics.wait(this.#numbers, stateIndex, waiting, signTimeoutMs) === 'timed-out')
      throw new Error('the TPM did not answer')
    const signature = this.#bytes.slice(0, Atomics.load(this.#numbers, lengthIndex))
    if (signature.length === 0) throw new Error('the TPM did not sign')
    return signature
  }
}
