import { createHash } from 'node:crypto'
import { encodeEventLog, encodeUefiVariable, type EventTypeName, eventTypeOf, globalVariable } from '#tpm'

/** One thing that firmware or a boot loader measures. */
export interface Measurement {
  readonly pcr: number
  readonly type: EventTypeName
  /** What the log says of it. */
  readonly data: Uint8Array
  /** What the digest is over. Default: `data` */
  readonly measured?: Uint8Array
}

export interface MeasuredBoot {
  readonly secureBoot?: boolean
  readonly firmware?: string
  /** Stands for the boot loader's image. */
  readonly loader?: string
  readonly commandLine?: string
}

const banks = [
  { algorithm: 0x0004, digestBytes: 20, hash: 'sha1' },
  { algorithm: 0x000b, digestBytes: 32, hash: 'sha256' },
] as const

/** The event log of a machine that measures these things, as its firmware would write it. */
export function logOfMeasurements(measurements: readonly Measurement[]): Uint8Array {
  const events = measurements.map(({ pcr, type, data, measured = data }) => ({
    ...{ pcr, type: eventTypeOf(type), data },
    digests: new Map(banks.map(({ algorithm, hash }) => [algorithm, digestOf(hash, measured)])),
  }))
  return encodeEventLog({ banks: banks.map(({ algorithm, digestBytes }) => ({ algorithm, digestBytes })), events })
}

/** What an ordinary PC with a boot loader measures, in few words. */
export function measuredBoot(boot: MeasuredBoot = {}): readonly Measurement[] {
  const { secureBoot = true, firmware = '1.0', loader = 'shim 15.8', commandLine = 'root=/dev/vda1 ro' } = boot
  const separator = Buffer.alloc(4)
  const secureBootVariable = { vendor: globalVariable, name: 'SecureBoot', value: Uint8Array.of(secureBoot ? 1 : 0) }
  const path = Buffer.from('\\EFI\\debian\\shimx64.efi\0', 'utf16le')
  return [
    { pcr: 0, type: 'EV_S_CRTM_VERSION', data: Buffer.from(`${firmware}\0`, 'utf16le') },
    { pcr: 7, type: 'EV_EFI_VARIABLE_DRIVER_CONFIG', data: encodeUefiVariable(secureBootVariable) },
    ...[0, 1, 2, 3, 4, 5, 6, 7].map((pcr) => ({ pcr, type: 'EV_SEPARATOR', data: separator }) as const),
    { pcr: 4, type: 'EV_EFI_BOOT_SERVICES_APPLICATION', data: imageLoad(path), measured: Buffer.from(loader) },
    {
      ...{ pcr: 8, type: 'EV_IPL' },
      data: Buffer.from(`kernel_cmdline: /vmlinuz ${commandLine}\0`),
      measured: Buffer.from(`/vmlinuz ${commandLine}`),
    },
  ]
}

/** UEFI_IMAGE_LOAD_EVENT with a path of one file. */
function imageLoad(path: Uint8Array): Uint8Array {
  const node = Buffer.from([4, 4, 0, 0])
  node.writeUInt16LE(4 + path.length, 2)
  const devicePath = Buffer.concat([node, path, Buffer.from([0x7f, 0xff, 4, 0])])
  const head = Buffer.alloc(32)
  head.writeBigUInt64LE(BigInt(devicePath.length), 24)
  return Buffer.concat([head, devicePath])
}

function digestOf(hash: string, data: Uint8Array): Uint8Array {
  return Uint8Array.from(createHash(hash).update(data).digest())
}
