import { generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import { AuditLog } from '#audit'
import { type AuditEvent, parseDeviceId } from '#protocol'
import { startWorker } from '../../audit/writing/writer-link.js'

/** What went to the disk at once, and when. */
export interface Batch {
  readonly at: number
  readonly bytes: number
  readonly records: number
}

/** A log as the server opens it, and the batches that it writes. */
export async function openLog(folder: string): Promise<{ readonly log: AuditLog; readonly batches: Batch[] }> {
  const batches: Batch[] = []
  let sent = 0
  const log = await AuditLog.open({
    directory: join(folder, 'audit'),
    origin: 'bench.test/log',
    node: 'node-1',
    signingKey: generateKeyPairSync('ed25519').privateKey,
    now: Date.now,
    payload: { keyFolder: join(folder, 'payload-keys') },
    connectWriter(options, receive) {
      const link = startWorker(options, receive)
      return {
        send(message) {
          if (message.kind === 'batch') {
            const bytes = message.records.byteLength
            batches.push({ at: performance.now(), bytes, records: log.size - sent })
            sent = log.size
          }
          link.send(message)
        },
      }
    },
  })
  return { log, batches }
}

const devices = Array.from({ length: 50 }, (_, index) => ({
  device: parseDeviceId(`sensor-${String(index).padStart(4, '0')}`),
  session: `${String(index).padStart(4, '0')}-5f3a9c`,
  topic: `plants/oslo-3/halls/3/lines/12/devices/sensor-${String(index).padStart(4, '0')}/vibration`, // 60 bytes
  payload: Buffer.from(JSON.stringify({ value: index / 7 })),
}))

/** The two records that a message brings: what a device says, and to whom it is handed on. */
export function appendMessage(log: AuditLog, number: number): void {
  const from = devices[number % devices.length]
  if (!from) return
  const { device, session, topic, payload } = from
  const message = {
    topic,
    qos: 1,
    retain: false,
    dup: false,
    messageId: number % 65_535,
    size: payload.length,
  } as const
  const publish: AuditEvent = {
    event: 'message.publish',
    ...{ device, session, sessionIndex: number, decision: 'allow', rules: ['sensor/telemetry'], policyVersion: 3 },
    ...{ action: 'publish', ...message, recipients: 1 },
  }
  const origin = log.append(publish, payload)
  log.append({
    event: 'message.deliver',
    ...{ device: collector, session: 'c01d-77aa01', sessionIndex: number, decision: 'allow' },
    ...{ rules: ['collector/all'], policyVersion: 3, ...message, publisher: device, origin },
  })
}

const collector = parseDeviceId('collector-1')
