import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { StageDevice } from '../../demo/stage.js'

/** What lies between a device and its broker, and can be cut and mended. */
export class Cable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #isCut = false

  private constructor(server: Server) {
    this.#server = server
  }

  /** From now on the device finds its broker at the end of this. */
  static async lay(t: TestContext, device: StageDevice, brokerPort: number): Promise<Cable> {
    const server = createServer().listen(0, 'localhost')
    await once(server, 'listening')
    const cable = new Cable(server)
    server.on('connection', (near) => {
      if (cable.#isCut) return void near.destroy()
      const far = connect(brokerPort, 'localhost')
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        cable.#sockets.add(one)
        one.on('error', () => undefined).once('close', () => other.destroy())
        one.pipe(other)
      }
    })
    t.after(() => {
      cable.cut()
      server.close()
    })
    await cable.#tell(device)
    return cable
  }

  cut(): void {
    this.#isCut = true
    for (const socket of this.#sockets) socket.destroy()
    this.#sockets.clear()
  }

  mend(): void {
    this.#isCut = false
  }

  async #tell(device: StageDevice): Promise<void> {
    const file = join(device.data, 'current', 'meta.json')
    const facts = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
    const address = this.#server.address()
    const port = typeof address === 'object' ? address?.port : undefined
    await writeFile(file, JSON.stringify({ ...facts, broker: `mqtts://localhost:${port}` }))
  }
}
