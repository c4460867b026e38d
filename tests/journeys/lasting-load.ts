import mqtt, { type MqttClient } from 'mqtt'

/** What is sent again must say so (MQTT 3.1.1 [MQTT-3.3.1-1]); mqtt.js 5 by itself forgets it. */
export class RedeliveringStore extends mqtt.Store {
  override put(...[packet, done]: Parameters<mqtt.Store['put']>): this {
    return super.put(packet.cmd === 'publish' ? { ...packet, dup: true } : packet, done)
  }
}

export interface Load {
  readonly prefix: string
  readonly qos: 1 | 2
  readonly atOnce: number
}

/** Publishes, each message under a topic of its own below the prefix and so many at once, until it is told to finish. */
export function keepPublishing(speaker: MqttClient, { prefix, qos, atOnce }: Load) {
  /** Topics. */
  const acknowledged = new Set<string>()
  let [sent, settled] = [0, 0]
  let finishing = false
  let wake = (): void => undefined
  const send = (): void => {
    if (finishing) return
    const topic = `${prefix}/${sent++}`
    speaker.publish(topic, 'x', { qos }, (error) => {
      settled++
      if (!error) acknowledged.add(topic) // else mqtt.js has given up, and the message is none of the service's
      wake()
      setImmediate(send)
    })
  }
  for (let started = 0; started < atOnce; started++) send()
  const progress = () => new Promise<void>((resolve) => (wake = resolve))
  const finish = async (): Promise<void> => {
    finishing = true
    while (settled < sent) await progress()
  }
  return { acknowledged, progress, finish }
}
