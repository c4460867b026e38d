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
  /** Which of the thread's questions it is: an answer that comes too late must not be taken for the next one's. */
  readonly ticket: number
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

const ticketIndex = 0
const lengthIndex = 1
const headerBytes = 8
const maxSignatureBytes = 128
const nothingAsked = 0
/** The thread serves its other connections no longer than this; a server waits for a handshake for less. */
const signTimeoutMs = 30_000

/** One signature at a time, handed from the agent to the waiting thread. An empty one means that the TPM refused. */
export class SignatureSlot {
  readonly shared: SharedArrayBuffer
  readonly #numbers: Int32Array
  readonly #bytes: Uint8Array
  #asked = nothingAsked

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(headerBytes + maxSignatureBytes)) {
    this.shared = shared
    this.#numbers = new Int32Array(shared, 0, 2)
    this.#bytes = new Uint8Array(shared, headerBytes)
  }

  /** Agent's side. Nobody waits any more for what comes too late. */
  answer(ticket: number, signature: Uint8Array): void {
    if (Atomics.compareExchange(this.#numbers, ticketIndex, ticket, -ticket) !== ticket) return
    const fits = signature.length <= maxSignatureBytes
    if (fits) this.#bytes.set(signature)
    Atomics.store(this.#numbers, lengthIndex, fits ? signature.length : 0)
    Atomics.store(this.#numbers, ticketIndex, nothingAsked)
    Atomics.notify(this.#numbers, ticketIndex)
  }

  /** Thread's side: asks, then blocks until the answer is there; undefined when the TPM refused or never answered. */
  ask(post: (ticket: number) => void, timeoutMs = signTimeoutMs): Uint8Array | undefined {
    const ticket = ++this.#asked
    Atomics.store(this.#numbers, ticketIndex, ticket)
    post(ticket)
    Atomics.wait(this.#numbers, ticketIndex, ticket, timeoutMs)
    if (Atomics.compareExchange(this.#numbers, ticketIndex, ticket, nothingAsked) === ticket) return undefined
    Atomics.wait(this.#numbers, ticketIndex, -ticket) // the answer is being written
    const length = Atomics.load(this.#numbers, lengthIndex)
    return length === 0 ? undefined : this.#bytes.slice(0, length)
  }
}
