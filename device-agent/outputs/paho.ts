import { join } from 'node:path'
import { type EnrollmentFacts, parseBroker } from '../generation.js'
import type { Output } from './output.js'

type Paho = Extract<Output, { readonly kind: 'paho' }>

/** A Python module for Eclipse Paho 1.6 and 2: a client that knows broker, trust and identity, and is not connected yet. */
export function pahoModule({ deviceId, broker }: EnrollmentFacts, { pem }: Paho): string {
  const { host, port } = parseBroker(broker)
  const literal = (value: string): string => JSON.stringify(value) // of such texts Python reads the same
  return `"""Written by touchmark-agent; what is changed here is lost at the next renewal."""

import ssl

import paho.mqtt.client as mqtt

DEVICE = ${literal(deviceId)}
HOST = ${literal(host)}
PORT = ${port}
CA = ${literal(join(pem, 'ca.pem'))}
CERTIFICATE = ${literal(join(pem, 'cert.pem'))}
KEY = ${literal(join(pem, 'key.pem'))}


def new_client(suffix="app"):
    """One for each program. Make it anew after a renewal: it reads key and certificate once."""
    options = {"client_id": f"{DEVICE}~{suffix}", "protocol": mqtt.MQTTv5}
    if hasattr(mqtt, "CallbackAPIVersion"):  # paho-mqtt 2
        options["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION2
    client = mqtt.Client(**options)
    client.tls_set(ca_certs=CA, certfile=CERTIFICATE, keyfile=KEY, tls_version=ssl.PROTOCOL_TLS_CLIENT)
    return client


def connect(client, keepalive=60):
    client.connect(HOST, PORT, keepalive=keepalive)
`
}
