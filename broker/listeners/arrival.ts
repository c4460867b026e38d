import type { Socket } from 'node:net'
import type { Eviction, HalfOpen, Place } from './half-open.js'
import type { Peer } from './peer.js'

/** A connection that came to nothing; `reason` is one of a few words, `comment` says more. */
export interface RefusedArrival {
  readonly address: string
  readonly reason: 'proxy_header' | 'tls' | 'handshake_timeout' | 'upgrade' | 'upgrade_timeout' | 'quota'
  readonly comment?: string
}

/** What an arrival goes through before it is handed over, each with a time limit of its own. */
export type Step = 'handshake' | 'upgrade'

/** A connection that has been accepted and is not established: its socket, where it comes from, and the place it takes. */
export class Arrival {
  readonly socket: Socket
  /** DER of what the TLS handshake, or the one it resumes, has verified; kept until whoever asks who this is has read it. */
  certificate: Uint8Array | undefined
  /** Told when the place is lost after the connection was handed over. */
  crowdedOut: (() => void) | undefined
  /** Told when the socket closes before the connection is established. */
  gone: (() => void) | undefined
  #peer: Peer
  #step: Step = 'handshake'
  #settled = false
  readonly #halfOpen: HalfOpen
  readonly #place: Place | undefined
  readonly #refused: (refused: RefusedArrival) => void

  constructor(socket: Socket, peer: Peer, halfOpen: HalfOpen, refused: (refused: RefusedArrival) => void) {
    this.socket = socket
    this.#peer = peer
    this.#refused = refused
    this.#halfOpen = halfOpen
    socket.on('error', ignore) // 'close' follows, and is all that matters here
    this.#place = halfOpen.enter(peer.address, (why) => this.#evict(why))
    if (this.#place) socket.once('close', this.#close)
    else this.refuse('quota', 'too many connections before CONNACK')
  }

  /** False when it was turned away, or came to nothing by itself. */
  get alive(): boolean {
    return !this.socket.destroyed
  }

  get peer(): Peer {
    return this.#peer
  }

  /** From now on it counts as the client for whom the proxy connects. */
  comesFrom(peer: Peer): void {
    this.#peer = peer
    this.#place?.move(peer.address)
  }

  /** A step begins that has to be done by `deadline`. */
  begin(step: Step, deadline: number): void {
    this.#step = step
    if (this.#place) this.#place.deadline = deadline
  }

  /** What comes now is the business of another, who has time limits too. */
  handOver(): void {
    this.#settled = true
    if (this.#place === undefined) return
    this.#place.deadline = Infinity
    this.#halfOpen.finished(this.#place)
  }

  /** It is established, or gone. The socket forgets all about its arrival: most of its life is still to come. */
  leave(): void {
    this.certificate = undefined
    this.socket.off('close', this.#close)
    this.#place?.leave()
  }

  refuse(reason: RefusedArrival['reason'], comment?: string): void {
    this.record(reason, comment)
    this.socket.destroy()
  }

  /** For one that is told why before it ends; its time limit goes on. Only the first reason is recorded. */
  record(reason: RefusedArrival['reason'], comment?: string): void {
    if (this.#settled) return
    this.#settled = true
    this.#refused({ address: this.#peer.address, reason, ...(comment !== undefined && { comment }) })
  }

  /** It has come to nothing, and not by its own doing. */
  #abandon(): void {
    this.#settled = true
    this.socket.destroy()
  }

  readonly #close = (): void => {
    this.leave()
    this.gone?.()
  }

  #evict(why: Eviction): void {
    if (why === 'quota' && this.crowdedOut) this.crowdedOut()
    else if (why === 'quota') this.refuse('quota', 'too many connections before CONNACK')
    else if (why === 'shutdown') this.#abandon()
    else this.refuse(`${this.#step}_timeout`)
  }
}

function ignore(): void {}
