import type { HashName } from '../structures/algorithms.js'
import { imagePath } from './device-path.js'
import type { LoggedEvent } from './event-log.js'
import { eventTypeName } from './event-types.js'
import { measuredData } from './measured.js'
import { decodeUefiVariable, type UefiVariable } from './uefi-variable.js'

/** An event for a person. */
export interface EventWords {
  /** As the profile calls it; its number where it does not. */
  readonly type: string
  /** What was measured, as far as it can be said: one line of printable text. */
  readonly text: string
  /** Whether the digest is over what the text says; else the text is only what somebody wrote beside the digest. */
  readonly isMeasured: boolean
}

const maxTextCharacters = 300

export function describeEvent(event: LoggedEvent, bank: HashName): EventWords {
  const name = eventTypeName(event.type)
  const measured = measuredData(event, bank)
  return {
    type: name ?? `0x${event.type.toString(16).padStart(8, '0')}`,
    text: oneLine(textOf(event, measured)),
    isMeasured: measured !== undefined,
  }
}

function textOf({ type, data }: LoggedEvent, measured: Uint8Array | undefined): string {
  const name = eventTypeName(type)
  switch (name) {
    case 'EV_SEPARATOR':
      return measured?.length === 4 && [0, 0xff].some((byte) => measured.every((each) => each === byte))
        ? 'end of what the firmware measures before it hands over'
        : 'the firmware failed to measure'
    case 'EV_S_CRTM_VERSION':
      return `firmware version ${anyText(data)}`
    case 'EV_EFI_VARIABLE_DRIVER_CONFIG':
    case 'EV_EFI_VARIABLE_BOOT':
    case 'EV_EFI_VARIABLE_BOOT2':
    case 'EV_EFI_VARIABLE_AUTHORITY': {
      const variable = decodeUefiVariable(data)
      return variable === undefined ? bytesOf(data) : sayVariable(variable)
    }
    case 'EV_EFI_BOOT_SERVICES_APPLICATION':
    case 'EV_EFI_BOOT_SERVICES_DRIVER':
    case 'EV_EFI_RUNTIME_SERVICES_DRIVER':
      return `image ${imagePath(data) || bytesOf(data)}`
    case 'EV_EFI_GPT_EVENT':
    case 'EV_EFI_GPT_EVENT2':
      return `partition table, ${bytesOf(data)}`
    case 'EV_IPL':
    case 'EV_ACTION':
    case 'EV_EFI_ACTION':
    case 'EV_POST_CODE':
      return anyText(data)
    default:
      return bytesOf(data)
  }
}

/** `SecureBoot = 01`; of what is longer than a word, such as lists of certificates, how long it is. */
function sayVariable({ name, value }: UefiVariable): string {
  return `${name} = ${value.length <= 8 ? Buffer.from(value).toString('hex') || 'empty' : bytesOf(value)}`
}

/** UCS-2 where every other byte is zero, else UTF-8; firmware writes both. */
function anyText(data: Uint8Array): string {
  const isWide = data.length >= 2 && data.length % 2 === 0 && data.every((byte, at) => at % 2 === 0 || byte === 0)
  const text = Buffer.from(data).toString(isWide ? 'utf16le' : 'utf8')
  return text.replace(/\0+$/, '')
}

function bytesOf(data: Uint8Array): string {
  return `${data.length} bytes`
}

/** What a device wrote goes to a terminal. */
function oneLine(text: string): string {
  return text.slice(0, maxTextCharacters).replace(/\p{C}/gu, '�')
}
