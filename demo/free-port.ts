import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below the ports that an operating system gives out by itself (Linux from 32768, RFC 6335 from 49152), above the well-known ones. */
const [lowest, highest] = [12_000, 32_000]

/**
 * A TCP port on 127.0.0.1 for a program that cannot say which one it was given, or that must find its port again after a
 * stop: no connection and no `listen(0)` takes it meanwhile. Only somebody who asks for this very number can.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(lowest, highest)
    if (await isFree(port)) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
