import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** One command and what the TPM said to it; `response` is empty where the command was kept from the TPM. */
export interface Exchange {
  readonly command: Buffer
  readonly response: Buffer
}

/** What becomes of an exchange: the response as it is or another one, or an end of the connection. */
export type Meddling = (exchange: Exchange, index: number) => Uint8Array | 'cut'

/** A man on the bus between us and a TPM: hears all of it, keeps commands from the TPM, and answers what he likes. */
export interface Bus {
  /** For `openTpm`. */
  readonly spec: string
  readonly heard: Exchange[]
  /** Instead of the TPM, when it gives something; default: never. */
  intercept: (command: Buffer, index: number) => Uint8Array | undefined
  /** Default: nothing is changed. */
  meddle: Meddling
  /** Once nobody is connected to the TPM through it. */
  idle(): Promise<void>
  stop(): Promise<void>
}

/** Sits on the bus of the TPM behind this socket. */
export async function sitOnBus(tpmPath: string): Promise<Bus> {
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-'))
  const path = join(folder, 'bus.sock')
  const connections = new Set<Promise<unknown>>()
  const server = createServer((client) => {
    const serving = serve(client, tpmPath, bus).finally(() => connections.delete(serving))
    connections.add(serving)
  })
  const bus: Bus = {
    spec: `swtpm:${path}`,
    heard: [],
    intercept: () => undefined,
    meddle: ({ response }) => response,
    idle: async () => void (await Promise.all(connections)),
    stop: async () => {
      server.close()
      await bus.idle()
      rmSync(folder, { recursive: true })
    },
  }
  await once(server.listen(path), 'listening')
  return bus
}

/** Resolves when both ends are closed. */
async function serve(client: Socket, tpmPath: string, bus: Bus): Promise<void> {
  const tpm = connect(tpmPath)
  const ended = Promise.all([client, tpm].map((socket) => new Promise((resolve) => socket.once('close', resolve))))
  for (const [socket, other] of [
    [client, tpm],
    [tpm, client],
  ] as const) {
    socket.on('error', () => undefined)
    socket.once('close', () => other.destroy())
  }
  let command: Buffer = Buffer.alloc(0)
  const answer = (response: Buffer): void => {
    const index = bus.heard.push({ command, response }) - 1
    const shown = bus.meddle({ command, response }, index)
    if (shown === 'cut') client.destroy()
    else client.write(shown)
  }
  eachMessage(tpm, answer)
  eachMessage(client, (bytes) => {
    command = bytes
    const instead = bus.intercept(command, bus.heard.length)
    if (instead === undefined) return void tpm.write(command)
    bus.heard.push({ command, response: Buffer.alloc(0) })
    client.write(instead)
  })
  await ended
}

/** Commands and responses alike say their size in bytes 2 to 5. */
function eachMessage(socket: Socket, take: (message: Buffer) => void): void {
  let received = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk])
    while (received.length >= 10 && received.length >= received.readUInt32BE(2)) {
      const size = received.readUInt32BE(2)
      const message = received.subarray(0, size)
      received = received.subarray(size)
      take(message)
    }
  })
}

/** The TPM_CC of a command. */
export function codeOf(command: Buffer): number {
  return command.readUInt32BE(6)
}

/** A response that refuses. */
export function refusing(responseCode: number): Buffer {
  const bytes = Buffer.from('80010000000a00000000', 'hex')
  bytes.writeUInt32BE(responseCode, 6)
  return bytes
}
