import mqtt, { type MqttClient } from 'mqtt'
import { credentialOf } from '../world.js'
import type { Caller, Client, Listening } from './client.js'
import { Mailbox } from './mailbox.js'

/** mqtt.js, in this process. */
export const mqttJs: Client = {
  async publish({ topic, payloads, qos, retain = false, ...caller }) {
    const client = await connect(caller, {})
    for (const payload of payloads) await client.publishAsync(topic, payload, { qos, retain })
    await client.endAsync()
  },

  async listen({ filter, qos, keep = false, will, ...caller }) {
    const mailbox = new Mailbox()
    const client = await connect(caller, { keep, ...(will && { will }) }, mailbox)
    const [grant] = await client.subscribeAsync(filter, { qos }).catch(() => [{ qos: 128 }])
    return {
      granted: grant?.qos ?? 128,
      heard: mailbox.heard,
      hears: (count) => mailbox.hears(count),
      leave: () => client.endAsync(),
      vanish: async () => {
        if (!client.connected) return
        const gone = new Promise<void>((resolve) => void client.once('close', () => resolve()))
        client.stream.destroy()
        await gone
      },
    }
  },
}

function connect(
  { device, clientId, port, version, transport }: Caller,
  { keep = false, will }: Pick<Listening, 'keep' | 'will'>,
  mailbox = new Mailbox(),
): Promise<MqttClient> {
  const client = mqtt.connect({
    ...credentialOf(device),
    protocol: transport === 'TLS' ? 'mqtts' : 'wss',
    host: 'localhost',
    port,
    path: '/mqtt',
    clientId,
    reconnectPeriod: 0,
    clean: !keep,
    ...(version === '5'
      ? { protocolVersion: 5, properties: { sessionExpiryInterval: keep ? 300 : 0 } }
      : { protocolVersion: 4 }),
    ...(will && { will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1 } }),
  })
  // From the first moment: what a session kept arrives right behind CONNACK.
  client.on('message', (topic, payload, { qos, retain }) => {
    mailbox.take({ topic, payload: payload.toString(), qos, retain })
  })
  return new Promise((resolve, reject) => {
    client.once('connect', () => resolve(client))
    client.on('error', reject)
    client.once('close', () => reject(new Error('the broker closed the connection')))
  })
}
