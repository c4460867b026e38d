import type { TestContext } from 'node:test'
import { type ClientOptions, WebSocket } from 'ws'
import type { ListenOptions } from '#broker'
import { authority, type World } from '../harness.js'

/** Another listener of the same broker; resolves to its port. */
export async function listenToo(world: World, options: Partial<ListenOptions>): Promise<number> {
  const { ca, server } = await authority
  const { port } = await world.broker.listen({ host: '127.0.0.1', port: 0, tls: { ...server, ca }, ...options })
  return port
}

/** A client that speaks WebSocket with a device's certificate, and whatever it likes in it; open, or turned away. */
export async function openWebSocket(
  t: TestContext,
  world: World,
  port: number,
  { id = 'd1', path = '/mqtt', protocols = ['mqtt'], ...options }: WebSocketOptions = {},
): Promise<WebSocket> {
  const credentials = await world.credentials(id)
  const url = `wss://localhost:${port}${path}`
  const webSocket = new WebSocket(url, [...protocols], { ca: world.ca, ...credentials, ...options })
  webSocket.on('error', () => undefined)
  t.after(() => webSocket.terminate())
  await new Promise<void>((resolve) => webSocket.once('open', () => resolve()).once('close', () => resolve()))
  return webSocket
}

export interface WebSocketOptions extends ClientOptions {
  readonly id?: string
  readonly path?: string
  readonly protocols?: readonly string[]
}
