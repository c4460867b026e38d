import { randomBytes } from 'node:crypto'
import { chmod, chown, lstat, mkdir, readFile, rename, rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { isSystemError } from '../disk.js'
import { AgentError } from '../errors.js'
import type { BridgeAddress } from './address.js'

export interface SocketRights {
  /** Permission bits of a unix socket. */
  readonly mode: number
  /** A group's name or number; default: the agent's own. */
  readonly group?: string
}

export interface Listening {
  /** What a program can connect to; with the port that port 0 became. */
  readonly address: BridgeAddress
  close(): Promise<void>
}

/**
 * Opens the door for programs on this device. A unix socket is made where nobody else can look, gets its rights, and is
 * moved to its place then: at no moment can someone connect whom the rights keep out.
 * @throws AgentError BRIDGE_FAILED
 */
export async function listen(
  address: BridgeAddress,
  { mode, group }: SocketRights,
  accept: (socket: Socket) => void,
): Promise<Listening> {
  const server = createServer(accept)
  if (address.kind === 'loopback') {
    await bound(server, { host: address.host, port: address.port }, `${address.host}:${address.port}`)
    const actual = server.address()
    const port = typeof actual === 'object' && actual !== null ? actual.port : address.port
    return { address: { ...address, port }, close: () => closed(server) }
  }
  const { path } = address
  await requireFree(path)
  const room = join(dirname(path), `.${randomBytes(4).toString('hex').slice(1)}.new`)
  try {
    await mkdir(room, { mode: 0o700 })
    const made = join(room, 's')
    await bound(server, { path: made }, path)
    await chmod(made, mode)
    if (group !== undefined) await chown(made, process.getuid?.() ?? 0, await groupNumber(group))
    await rename(made, path) // rename(2): connections find the same socket under its new name
  } catch (cause) {
    server.close()
    throw failed(path, cause)
  } finally {
    await rm(room, { recursive: true, force: true })
  }
  return {
    address,
    close: async () => {
      const ended = closed(server) // from here on nobody comes in
      await rm(path, { force: true })
      await ended
    },
  }
}

function bound(server: Server, where: { host: string; port: number } | { path: string }, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(failed(name, cause))
    })
    server.listen(where, resolve)
  })
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve()
    })
  })
}

/** A socket that a killed agent has left goes; one that answers, or a file that is no socket, is somebody's. */
async function requireFree(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket()) throw new AgentError('BRIDGE_FAILED', `${path}: there is something else, and no socket`)
  if (await answers(path)) throw new AgentError('BRIDGE_FAILED', `${path}: another program listens there`)
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => {
      resolve(false)
    })
  })
}

/** group(5): `name:password:number:members`. */
async function groupNumber(group: string): Promise<number> {
  if (/^\d{1,9}$/.test(group)) return Number(group)
  const lines = (await readFile('/etc/group', 'utf8')).split('\n').map((line) => line.split(':'))
  const found = lines.find(([name]) => name === group)
  if (found === undefined) throw new AgentError('BRIDGE_FAILED', `there is no group ${JSON.stringify(group)}`)
  return Number(found[2])
}

function failed(name: string, cause: unknown): AgentError {
  if (cause instanceof AgentError) return cause
  const reason = isSystemError(cause) ? (advice[cause.code ?? ''] ?? cause.message) : String(cause)
  return new AgentError('BRIDGE_FAILED', `the bridge cannot listen at ${name}: ${reason}`, { cause })
}

const advice: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there',
  EACCES: 'permission denied',
  EPERM: 'the agent’s user may not give it that group',
  ENOENT: 'its folder does not exist; systemd makes it with RuntimeDirectory=',
}
