import { setTimeout as wait } from 'node:timers/promises'
import { commandFilter, deviceName, type Fleet } from '../fleet.js'
import { Client } from '../load/client.js'
import { answerFrame, packetTypes, type ProtocolLevel, publishFrame } from '../load/frames.js'

export interface RestlessCounts {
  connects: number
  takeovers: number
  drops: number
}

/** A device that comes and goes: it says goodbye, loses its power, or connects again before the broker has noticed. */
export async function runRestless(
  fleet: Fleet,
  port: number,
  device: {
    readonly index: number
    readonly level: ProtocolLevel
    readonly counts: RestlessCounts
    /** How it ends next, 0 to 1. */
    readonly chance: () => number
    readonly signal: AbortSignal
    readonly fail: (error: Error) => void
  },
): Promise<void> {
  const { index, level, counts, chance, signal, fail } = device
  const name = deviceName(index)
  const sessionExpirySeconds = index % 2 === 0 ? 600 : 0
  const connect = async (): Promise<Client> => {
    const client = await Client.connect(fleet, port, name, { level, sessionExpirySeconds, prepare: acknowledgeAll })
    counts.connects++
    client.onEnd = fail
    return client
  }
  let client = await connect()
  while (!signal.aborted) {
    await client.subscribe(commandFilter, 1)
    const payload = Buffer.from('come and gone')
    client.socket.write(publishFrame(`fleet/site-7/${name}/state`, { qos: 1, packetId: 7, level }, payload))
    await wait(200 + 800 * chance())
    const choice = chance()
    if (choice < 0.4) await client.leave()
    else if (choice < 0.7) {
      counts.drops++
      await client.vanish()
    } else {
      counts.takeovers++
      const old = client
      old.expectEnd()
      client = await connect()
      await old.gone
      continue
    }
    if (chance() < 0.5) await wait(500 * chance())
    client = await connect()
  }
  await client.leave()
}

function acknowledgeAll(client: Client): void {
  client.onFrame = (header, bytes, start) => {
    if (header >> 4 !== packetTypes.publish || (header & 0x06) === 0) return
    client.socket.write(answerFrame(packetTypes.puback, bytes.readUInt16BE(start + 2 + bytes.readUInt16BE(start))))
  }
}
