import assert from 'node:assert/strict'
import test from 'node:test'
import { servicesIn } from '#protocol'

test('services are read from facts, with what the device says of where they are', () => {
  assert.deepEqual(
    servicesIn({
      ...{ model: 'RX 7', 'service.opcua': '4840/tcp', 'service.a.b': 'plc.oslo.example:502/modbus' },
      'service.v6': '[2001:db8::1]:80/http',
    }),
    [
      { service: 'a.b', protocol: 'modbus', port: 502, host: 'plc.oslo.example' },
      { service: 'opcua', protocol: 'tcp', port: 4840 },
      { service: 'v6', protocol: 'http', port: 80, host: '[2001:db8::1]' },
    ],
  )
})

test('a fact of another form is no service, however it is made to look like one', () => {
  const names = ['', '+', '#', 'a/b', 'a\nb', '\u001b[2J', '..', 'x'.repeat(65), 'ä']
  for (const name of names) assert.deepEqual(servicesIn({ [`service.${name}`]: '1/tcp' }), [], JSON.stringify(name))
  const values = ['', '0/tcp', '65536/tcp', '80', '80/', '/tcp', '80/a b', '80/+', '80/tcp\n', ' 80/tcp', 'x y:80/tcp']
  values.push('a..b/80', ':80/tcp', '-a:80/tcp', 'a\u0000:80/tcp', '080/tcp', '8e1/tcp', `${'a'.repeat(254)}:80/tcp`)
  for (const value of values) assert.deepEqual(servicesIn({ 'service.x': value }), [], JSON.stringify(value))
})
