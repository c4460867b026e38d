import { open } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { TpmError } from '../errors.js'

/** A way to one TPM. Calls may overlap; the commands do not: each waits for the answer to the one before. */
export interface Transport {
  send(command: Uint8Array): Promise<Uint8Array>
  close(): Promise<void>
}

export type SocketAddress = { readonly path: string } | { readonly host: string; readonly port: number }

export interface TransportOptions {
  /** How long one command may take. Default 90 s: a hardware TPM may look for an RSA key's primes for that long. */
  readonly timeoutMs?: number
}

/** What a TPM may answer at most; also the buffer of Linux's driver. */
export const maxResponseBytes = 4096
/** Tag, size and response code (Part 1 §18.2). */
export const responseHeaderBytes = 10

const defaultTimeoutMs = 90_000

/** Linux's resource manager: one write is one command, one read its response, both in a thread of the pool. */
export async function openDevice(path: string, options: TransportOptions = {}): Promise<Transport> {
  const device = await open(path, 'r+').catch((cause: unknown) => {
    throw new TpmError('TPM_UNREACHABLE', `cannot open ${path}`, { cause })
  })
  const exchange = async (command: Uint8Array): Promise<Uint8Array> => {
    try {
      await device.write(command, 0, command.length, null)
      const { buffer, bytesRead } = await device.read(Buffer.alloc(maxResponseBytes), 0, maxResponseBytes, null)
      return buffer.subarray(0, bytesRead)
    } catch (cause) {
      throw new TpmError('TPM_UNREACHABLE', `${path} failed`, { cause })
    }
  }
  return oneAtATime(exchange, () => device.close(), options)
}

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
    const size = received.length < responseHeaderBytes ? responseHeaderBytes : received.readUInt32BE(2)
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

/** After a time-out the TPM's late answer would be taken for that to the next command, so the transport is closed. */
function oneAtATime(
  exchange: (command: Uint8Array) => Promise<Uint8Array>,
  release: () => Promise<void>,
  { timeoutMs = defaultTimeoutMs }: TransportOptions,
): Transport {
  let last: Promise<unknown> = Promise.resolve()
  let released: Promise<void> | undefined
  const close = (): Promise<void> => (released ??= release())
  const sendNow = async (command: Uint8Array): Promise<Uint8Array> => {
    if (released) throw new TpmError('TPM_UNREACHABLE', 'the TPM was closed')
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        close().catch(() => undefined)
        reject(new TpmError('TPM_TIMEOUT', `the TPM did not answer within ${timeoutMs} ms`))
      }, timeoutMs)
    })
    return Promise.race([exchange(command), late]).finally(() => clearTimeout(timer))
  }
  return {
    send(command) {
      const answer = last.then(() => sendNow(command))
      last = answer.catch(() => undefined)
      return answer
    },
    async close() {
      await last
      await close()
    },
  }
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
