import assert from 'node:assert/strict'
import test from 'node:test'
import { reportedFacts } from '../../device-agent/reported-facts.js'

const debian = 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n'

test('a machine says what its firmware and system call themselves, and what its settings add', async () => {
  const files: Readonly<Record<string, string>> = {
    '/sys/class/dmi/id/product_name': 'RX 7\n',
    '/sys/class/dmi/id/bios_version': '  1.2\u0000\u0000',
    '/etc/os-release': debian,
  }
  const own = { 'service.opcua': '4840/tcp', model: 'RX 7 in cabinet 3' }
  const facts = await reportedFacts({ version: '1.0.0', own, read: async (path) => files[path] })
  const { kernel, arch, runtime, ...others } = facts
  assert.deepEqual(others, {
    ...{ model: 'RX 7 in cabinet 3', firmware: '1.2', os: 'Debian GNU/Linux 12 (bookworm)', agent: '1.0.0' },
    'service.opcua': '4840/tcp',
  })
  assert.ok(kernel && arch && runtime?.startsWith('Node.js v'))
})

test('a board without DMI says what its device tree does, and what cannot be read is not said', async () => {
  const read = async (path: string) => (path === '/proc/device-tree/model' ? 'Pi 4\u0000' : undefined)
  const { model, firmware, os, kernel } = await reportedFacts({ version: '1', read })
  assert.deepEqual([model, firmware, os], ['Pi 4', undefined, kernel])
})
