import { connect, type Socket } from 'node:net'
import { TpmError } from '../errors.js'
import {
  maxResponseBytes,
  oneAtATime,
  responseHeaderBytes,
  type Transport,
  type TransportOptions,
} from './transport.js'

export type SocketAddress = { readonly path: string } | { readonly host: string; readonly port: number }

/** Where a response says its size (Part 1 §18.2). */
const [sizeStart, sizeEnd] = [2, 6] as const

/** The data channel of swtpm, which carries TPM commands as they are. */
export async function openSocket(address: SocketAddress, options: TransportOptions = {}): Promise<Transport> {
  const socket = await connected(address)
  let settle: ((response: Uint8Array | TpmError) => void) | undefined
  let received = Buffer.alloc(0)
  const finish = (outcome: Uint8Array | TpmError): void => {
    settle?.(outcome)
    settle = undefined
  }
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk])
    const size = received.length < sizeEnd ? responseHeaderBytes : received.readUInt32BE(sizeStart)
    if (size < responseHeaderBytes || size > maxResponseBytes || received.length > size || settle === undefined) {
      finish(new TpmError('TPM_RESPONSE_INVALID', `${received.length} bytes that are no response`))
      socket.destroy()
    } else if (received.length === size) {
      const response = received
      received = Buffer.alloc(0)
      finish(response)
    }
  })
  socket.on('error', (cause) => finish(new TpmError('TPM_UNREACHABLE', 'the connection to the TPM failed', { cause })))
  socket.on('close', () => finish(new TpmError('TPM_UNREACHABLE', 'the TPM closed the connection')))

  const exchange = (command: Uint8Array): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      if (socket.destroyed || !socket.writable)
        throw new TpmError('TPM_UNREACHABLE', 'the connection to the TPM is closed')
      settle = (outcome) => (outcome instanceof TpmError ? reject(outcome) : resolve(outcome))
      socket.write(command)
    })
  return oneAtATime(exchange, () => closed(socket), options)
}

function connected(address: SocketAddress): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(address)
    const refuse = (cause: Error): void =>
      reject(new TpmError('TPM_UNREACHABLE', `cannot connect to ${JSON.stringify(address)}`, { cause }))
    socket.once('error', refuse)
    socket.once('connect', () => {
      socket.off('error', refuse)
      resolve(socket.setNoDelay())
    })
  })
}

function closed(socket: Socket): Promise<void> {
  if (socket.closed) return Promise.resolve()
  return new Promise((resolve) => {
    socket.once('close', () => resolve())
    socket.destroy()
  })
}
