import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/** Below the ports that an operating system gives out by itself (gVisor from 16000, Linux from 32768), above the well-known ones. */
const [lowest, highest] = [10_000, 16_000]

/** How many ports a process has to itself; the first of them says that they are taken. */
const block = 60

let own: { readonly first: number; given: number } | undefined

/**
 * A TCP port on 127.0.0.1 for a program that cannot say which one it was given, or that must find its port again after a
 * stop: no connection and no `listen(0)` takes it meanwhile, and none of our own processes that looks for one as well,
 * because each gives out ports of a block at whose first port it listens itself.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    own ??= await takeBlock()
    own.given += 1
    const port = own.first + own.given
    if (own.given === block - 1) own = undefined // the next one comes from another block; this one stays ours
    if (await isFree(port)) return port
  }
}

async function takeBlock(): Promise<NonNullable<typeof own>> {
  for (;;) {
    const first = lowest + block * randomInt((highest - lowest) / block)
    const door = await listenAt(first)
    if (!door) continue
    door.unref()
    return { first, given: 0 }
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = await listenAt(port)
  if (!server) return false
  server.close()
  await once(server, 'close')
  return true
}

/** The listener, or undefined where somebody else has the port. */
async function listenAt(port: number): Promise<Server | undefined> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
    return server
  } catch {
    return undefined
  }
}
