import { join } from 'node:path'
import { type EnrollmentFacts, parseBroker } from '../generation.js'
import { place } from '../tls.js'
import type { Output } from './output.js'

type Bridge = Extract<Output, { readonly kind: 'mosquitto' }>

/** What this device may do by the policy of a first run. */
const usualTopics = ['devices/{id}/telemetry/# out 1', 'devices/{id}/cmd/# in 1']

/** mosquitto.conf(5), "Configuring bridges": a mosquitto on this device carries topics to the service and back. */
export function mosquittoBridge({ deviceId, broker }: EnrollmentFacts, { pem, topics = usualTopics }: Bridge): string {
  const lines = [
    '# Written by touchmark-agent; what is changed here is lost at the next renewal.',
    'connection touchmark',
    `address ${place(parseBroker(broker))}`,
    'bridge_protocol_version mqttv50',
    `bridge_cafile ${join(pem, 'ca.pem')}`,
    `bridge_certfile ${join(pem, 'cert.pem')}`,
    `bridge_keyfile ${join(pem, 'key.pem')}`,
    // Beside the agent, whose id is the device's own.
    `remote_clientid ${deviceId}~mosquitto`,
    'cleansession false',
    // It would announce itself below $SYS, which is not for devices to write.
    'notifications false',
    'try_private false',
    'restart_timeout 1 60',
    ...topics.map((topic) => `topic ${topic.replaceAll('{id}', deviceId)}`),
  ]
  return `${lines.join('\n')}\n`
}
