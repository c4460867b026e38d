import type { HashName } from '../structures/algorithms.js'
import { imagePath } from './device-path.js'
import type { LoggedEvent } from './event-log.js'
import { eventTypeName, type EventTypeName } from './event-types.js'
import { measuredData } from './measured.js'
import { decodeUefiVariable } from './uefi-variable.js'

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
  const isMeasured = measuredData(event, bank) !== undefined
  const say = (name && sayings[name]) ?? bytesOf
  return {
    type: name ?? `0x${event.type.toString(16).padStart(8, '0')}`,
    text: oneLine(say(event.data, isMeasured)),
    isMeasured,
  }
}

/** How each kind is said; of the others, how many bytes there are. */
const sayings: Partial<Record<EventTypeName, (data: Uint8Array, isMeasured: boolean) => string>> = {
  EV_SEPARATOR: saySeparator,
  EV_S_CRTM_VERSION: (data) => `firmware version ${anyText(data)}`,
  EV_POST_CODE: anyText,
  EV_IPL: anyText,
  EV_ACTION: anyText,
  EV_EFI_ACTION: anyText,
  EV_EFI_VARIABLE_DRIVER_CONFIG: sayVariable,
  EV_EFI_VARIABLE_BOOT: sayVariable,
  EV_EFI_VARIABLE_BOOT2: sayVariable,
  EV_EFI_VARIABLE_AUTHORITY: sayVariable,
  EV_EFI_BOOT_SERVICES_APPLICATION: sayImage,
  EV_EFI_BOOT_SERVICES_DRIVER: sayImage,
  EV_EFI_RUNTIME_SERVICES_DRIVER: sayImage,
  EV_EFI_GPT_EVENT: (data) => `partition table, ${bytesOf(data)}`,
  EV_EFI_GPT_EVENT2: (data) => `partition table, ${bytesOf(data)}`,
}

/** Zeros or ones (§10.4.1); of anything else the digest is over an error. */
function saySeparator(data: Uint8Array, isMeasured: boolean): string {
  const isUsual = isMeasured && data.length === 4 && [0, 0xff].some((byte) => data.every((each) => each === byte))
  return isUsual ? 'end of what the firmware measures before it hands over' : 'the firmware failed to measure'
}

function sayImage(data: Uint8Array): string {
  return `image ${imagePath(data) || bytesOf(data)}`
}

/** `SecureBoot = 01`; of what is longer than a word, such as lists of certificates, how long it is. */
function sayVariable(data: Uint8Array): string {
  const variable = decodeUefiVariable(data)
  if (variable === undefined) return bytesOf(data)
  const { name, value } = variable
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
