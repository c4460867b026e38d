import assert from 'node:assert/strict'
import test from 'node:test'
import { parseBridgeAddress } from '../../../device-agent/bridge/address.js'

test('the bridge listens where only this machine can reach it', () => {
  assert.deepEqual(parseBridgeAddress('127.0.0.1:1883'), { kind: 'loopback', host: '127.0.0.1', port: 1883 })
  assert.deepEqual(parseBridgeAddress('127.3.2.1:0'), { kind: 'loopback', host: '127.3.2.1', port: 0 })
  assert.deepEqual(parseBridgeAddress('[::1]:1883'), { kind: 'loopback', host: '::1', port: 1883 })
  assert.deepEqual(parseBridgeAddress('unix:/run/x/mqtt.sock'), { kind: 'unix', path: '/run/x/mqtt.sock' })
})

for (const text of [
  ...['0.0.0.0:1883', '[::]:1883', '192.168.1.4:1883', '[::ffff:192.168.1.4]:1883', '[fe80::1]:1883'],
  ...['localhost:1883', 'fleet.example:1883', '127.0.0.1', '127.0.0.1:65536', '127.1:1883', ':1883', ''],
  ...['unix:', 'unix:mqtt.sock', 'unix:/run/', `unix:/${'x'.repeat(108)}`],
]) {
  test(`and nowhere else: ${JSON.stringify(text.slice(0, 30))}`, () => {
    assert.throws(() => parseBridgeAddress(text), { code: 'USAGE' })
  })
}
