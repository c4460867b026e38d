import { generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { AuditLog } from '#audit'
import { parseDeviceId } from '#protocol'
import { startWorker } from '../../audit/writing/writer-link.js'

/** What went to the disk at once, and when. */
export interface Batch {
  readonly at: number
  readonly bytes: number
  readonly records: number
}

/** A log as the server opens it, and the batches that it writes. */
export async function openLog(
  folder: string,
  startWriter = startWorker,
): Promise<{ readonly log: AuditLog; readonly batches: Batch[] }> {
  const batches: Batch[] = []
  let sent = 0
  const log = await AuditLog.open({
    directory: join(folder, 'audit'),
    origin: 'bench.test/log',
    signingKey: generateKeyPairSync('ed25519').privateKey,
    now: Date.now,
    payload: { mode: 'commit', keyFolder: join(folder, 'payload-keys') },
    connectWriter(options, receive) {
      const link = startWriter(options, receive)
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
  session: `${String(index).padStart(4, '0')}5f3a9c20d1e84b77`,
  topic: `plants/oslo-3/halls/3/lines/12/devices/sensor-${String(index).padStart(4, '0')}/vibration`, // 60 bytes
  payload: Buffer.from(JSON.stringify({ value: index / 7 })),
}))

const collector = { device: parseDeviceId('collector-1'), session: 'c01d77aa015f3a9c20d1' }
const publishRules = ['sensor/telemetry']
const deliverRules = ['collector/all']

/** The two records that a message brings, as the broker makes them: what a device says, and to whom it is handed on. */
export function appendMessage(log: AuditLog, number: number): void {
  const from = devices[number % devices.length]
  if (!from) return
  const messageId = number % 65_535
  const origin = log.append(
    {
      event: 'message.publish',
      device: from.device,
      session: from.session,
      sessionIndex: Math.floor(number / devices.length),
      topic: from.topic,
      decision: 'allow',
      reason: undefined,
      rules: publishRules,
      policyVersion: 3,
      action: 'publish',
      qos: 1,
      retain: false,
      dup: false,
      messageId,
      size: from.payload.length,
      recipients: 1,
    },
    from.payload,
  )
  log.append({
    event: 'message.deliver',
    device: collector.device,
    session: collector.session,
    sessionIndex: number,
    topic: from.topic,
    decision: 'allow',
    reason: undefined,
    rules: deliverRules,
    policyVersion: 3,
    qos: 1,
    retain: false,
    dup: false,
    messageId,
    size: from.payload.length,
    publisher: from.device,
    origin,
  })
}

/** So many records wait for the disk at most, as a broker's sources would be held back. */
const mostWaiting = 4000
const messagesPerTurn = 100

/** As fast as the disk takes them. */
export async function appendAll(log: AuditLog, records: number): Promise<void> {
  for (let message = 0; log.size < records;) {
    for (let left = messagesPerTurn; left > 0; left--) appendMessage(log, message++)
    if (log.size - log.durable > mostWaiting) await log.whenDurable(log.size - mostWaiting)
    else await turn()
  }
}
