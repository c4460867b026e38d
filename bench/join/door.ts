import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { connect, type TLSSocket } from 'node:tls'
import { channelBindingLabel, type RouteName, routes } from '#protocol'
import type { Credential } from '../fleet.js'
import { fleetAddress } from '../service.js'

/** Where devices knock. */
export interface Door {
  readonly port: number
  /** PEM. */
  readonly ca: string
}

/** One TLS 1.3 connection of one device, as it makes it at its first boot: every request goes over this very one. */
export class Visit {
  readonly #socket: TLSSocket
  readonly #agent: Agent

  private constructor(socket: TLSSocket) {
    this.#socket = socket
    this.#agent = Object.assign(new Agent({ keepAlive: true, maxSockets: 1 }), { createConnection: () => socket })
  }

  /** `device`: the how many-eth it is, for its address. `credential`: what it shows, where it has been here before. */
  static async begin({ port, ca }: Door, device: number, credential?: Credential): Promise<Visit> {
    const address = { host: 'localhost', servername: 'localhost', port, ...fleetAddress(device) }
    const socket = connect({ ...address, ca, ...credential, minVersion: 'TLSv1.3' })
    socket.setNoDelay(true)
    await once(socket, 'secureConnect')
    return new Visit(socket)
  }

  /** RFC 9266. */
  get channelBinding(): Uint8Array {
    return this.#socket.exportKeyingMaterial(32, channelBindingLabel, Buffer.alloc(0))
  }

  /** An answer that is none of success is an error. @throws Refused */
  async ask(route: RouteName, body: object, token?: string): Promise<unknown> {
    const { method, path } = routes[route]
    const headers = {
      'content-type': 'application/json',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    }
    const asking = request({ agent: this.#agent, host: 'localhost', method, path, headers })
    const answered = once(asking, 'response') as Promise<[IncomingMessage]>
    asking.end(JSON.stringify(body))
    const [response] = await answered
    const answer = await text(response)
    const { statusCode = 500, headers: told } = response
    if (statusCode >= 300) throw new Refused(`${route}: ${statusCode} ${answer}`, Number(told['retry-after'] ?? 0))
    return JSON.parse(answer) as unknown
  }

  async end(): Promise<void> {
    const gone = once(this.#socket, 'close')
    this.#agent.destroy()
    this.#socket.end()
    await gone
  }
}

export class Refused extends Error {
  /** 0 where it was not said. */
  readonly retryAfterSeconds: number

  constructor(message: string, retryAfterSeconds: number) {
    super(message)
    this.retryAfterSeconds = retryAfterSeconds
  }
}
