import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { connect as tlsConnect } from 'node:tls'
import { readConfig } from '../../server/config.js'
import { parseNetwork, parseWebOrigin } from '../../server/network-names.js'
import { temporaryFolder, up } from './running.js'

test('both MQTT ports are opened, told, and ask for TLS', async (t) => {
  const { ready } = await up(temporaryFolder(t))
  assert.equal(ready.addresses.wss, `wss://localhost:${ready.ports.websocket}/mqtt`)
  for (const port of [ready.ports.mqtt, ready.ports.websocket]) {
    const socket = tlsConnect({ host: '127.0.0.1', port, rejectUnauthorized: false })
    t.after(() => socket.destroy())
    socket.on('error', () => undefined)
    await new Promise<void>((resolve) => socket.once('secureConnect', resolve))
    assert.equal(socket.getProtocol(), 'TLSv1.3')
    await new Promise<void>((resolve) => socket.once('close', () => resolve())) // without a certificate
  }
})

test('proxies and origins are read from the file, and are none by default', (t) => {
  const folder = temporaryFolder(t)
  const config = join(folder, 'touchmark.yaml')
  writeFileSync(config, 'mqtt:\n  proxies: [10.0.0.0/24, "2001:db8::1"]\n  allowedOrigins: ["https://a.example"]\n')
  const read = readConfig(['--config', config], {}, '0')
  assert.deepEqual([read.proxies, read.allowedOrigins], [['10.0.0.0/24', '2001:db8::1'], ['https://a.example']])
  assert.equal(read.websocketPort, 8884)
  writeFileSync(config, '')
  const empty = readConfig(['--config', config], {}, '0')
  assert.deepEqual([empty.proxies, empty.allowedOrigins], [[], []])
})

test('what is no network and what is no origin is refused', () => {
  for (const network of ['10.0.0.0/33', '10.0.0/8', 'proxy.example', '::/129', '10.0.0.0/', '', 'fe80::1%eth0']) {
    assert.throws(() => parseNetwork(network), { code: 'INVALID_MESSAGE' }, network)
  }
  for (const origin of ['*', 'null', 'a.example', 'https://a.example/', 'https://A.example', 'ws://a.example', '']) {
    assert.throws(() => parseWebOrigin(origin), { code: 'INVALID_MESSAGE' }, origin)
  }
})
