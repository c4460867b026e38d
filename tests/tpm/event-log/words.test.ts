import assert from 'node:assert/strict'
import test from 'node:test'
import { logOfMeasurements, measuredBoot, type Measurement } from '#simulators'
import {
  decodeEventLog,
  decodeUefiVariable,
  describeEvent,
  encodeUefiVariable,
  globalVariable,
  measuredData,
} from '#tpm'

function wordsOf(...measurements: readonly Measurement[]) {
  return decodeEventLog(logOfMeasurements(measurements)).events.map((event) => describeEvent(event, 'sha256'))
}

test('what an ordinary PC measures is said in words', () => {
  const words = wordsOf(...measuredBoot({ firmware: '2.7', commandLine: 'root=/dev/vda1 ro' }))
  const said = words.map(({ type, text, isMeasured }) => `${type}: ${text}${isMeasured ? '' : ' (unproven)'}`)
  assert.equal(said[0], 'EV_S_CRTM_VERSION: firmware version 2.7')
  assert.equal(said[1], 'EV_EFI_VARIABLE_DRIVER_CONFIG: SecureBoot = 01')
  assert.equal(said[2], 'EV_SEPARATOR: end of what the firmware measures before it hands over')
  assert.deepEqual(said.slice(-2), [
    'EV_EFI_BOOT_SERVICES_APPLICATION: image \\EFI\\debian\\shimx64.efi (unproven)',
    'EV_IPL: kernel_cmdline: /vmlinuz root=/dev/vda1 ro',
  ])
})

test('data that does not hash to its digest is called unproven, whatever it says', () => {
  const secureBoot = { vendor: globalVariable, name: 'SecureBoot', value: Uint8Array.of(1) }
  const [lie = assert.fail()] = wordsOf({
    ...{ pcr: 7, type: 'EV_EFI_VARIABLE_DRIVER_CONFIG', data: encodeUefiVariable(secureBoot) },
    measured: encodeUefiVariable({ ...secureBoot, value: Uint8Array.of(0) }),
  })
  assert.equal(lie.isMeasured, false)
  const [command = assert.fail()] = wordsOf({
    ...{ pcr: 8, type: 'EV_IPL' },
    data: Buffer.from('grub_cmd: linux /safe\0'),
    measured: Buffer.from('linux /evil'),
  })
  assert.equal(command.isMeasured, false)
})

test('a separator that marks an error is called one', () => {
  const [failed = assert.fail()] = wordsOf({ pcr: 7, type: 'EV_SEPARATOR', data: Uint8Array.of(1, 0, 0, 0) })
  assert.equal(failed.text, 'the firmware failed to measure')
})

test('a variable at boot counts by its value alone', () => {
  const value = Buffer.from([1, 0, 2, 0])
  const data = encodeUefiVariable({ vendor: globalVariable, name: 'BootOrder', value })
  const log = decodeEventLog(logOfMeasurements([{ pcr: 1, type: 'EV_EFI_VARIABLE_BOOT', data, measured: value }]))
  const [event = assert.fail()] = log.events
  assert.deepEqual(Buffer.from(measuredData(event, 'sha256') ?? []), value)
})

test('a variable is read whole or not at all, and its text never reaches a terminal as a command', () => {
  const variable = { vendor: globalVariable, name: 'Boot\u001b[2J0001', value: new Uint8Array(3) }
  const data = encodeUefiVariable(variable)
  assert.deepEqual(decodeUefiVariable(data)?.name, variable.name)
  assert.equal(decodeUefiVariable(data)?.vendor, globalVariable)
  for (let length = 0; length < data.length; length++)
    assert.equal(decodeUefiVariable(data.subarray(0, length)), undefined)
  assert.equal(decodeUefiVariable(Uint8Array.from([...data, 0])), undefined)
  const [said = assert.fail()] = wordsOf({ pcr: 1, type: 'EV_EFI_VARIABLE_BOOT2', data })
  assert.doesNotMatch(said.text, /\p{C}/u)
})

test('device paths and images that lie about their lengths are said as bytes', () => {
  const image = Buffer.alloc(32)
  image.writeBigUInt64LE(2n ** 60n, 24)
  const loop = Buffer.concat([Buffer.alloc(24), Buffer.from([4, 0, 0, 0, 0, 0, 0, 0]), Buffer.from([4, 4, 0, 0])])
  for (const data of [image, loop, Buffer.alloc(3)]) {
    const [said = assert.fail()] = wordsOf({ pcr: 4, type: 'EV_EFI_BOOT_SERVICES_APPLICATION', data })
    assert.equal(said.text, `image ${data.length} bytes`)
  }
})
