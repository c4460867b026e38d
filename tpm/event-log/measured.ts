import { createHash } from 'node:crypto'
import { algorithmIds, type HashName } from '../structures/algorithms.js'
import type { LoggedEvent } from './event-log.js'
import { eventTypeName, type EventTypeName } from './event-types.js'
import { decodeUefiVariable } from './uefi-variable.js'

/**
 * The part of an event's data that its digest is over, where its type measures data that stands in the log and this is
 * that data; else undefined, and then the data is only what somebody says. Of an image that was loaded, say, the digest
 * is over the image, and the path beside it may be any.
 */
export function measuredData(event: LoggedEvent, bank: HashName): Uint8Array | undefined {
  const digest = event.digests.get(algorithmIds[bank])
  if (digest === undefined) return undefined
  return candidatesOf(event).find(
    (candidate) => Buffer.compare(createHash(bank).update(candidate).digest(), digest) === 0,
  )
}

/** §10.4.1 table 27, those whose digest is over their event field as a whole. */
const measuredWhole: ReadonlySet<EventTypeName | undefined> = new Set<EventTypeName>([
  'EV_SEPARATOR',
  'EV_ACTION',
  'EV_EVENT_TAG',
  'EV_S_CRTM_VERSION',
  'EV_PLATFORM_CONFIG_FLAGS',
  'EV_EFI_VARIABLE_DRIVER_CONFIG',
  'EV_EFI_VARIABLE_BOOT2',
  'EV_EFI_VARIABLE_AUTHORITY',
  'EV_EFI_GPT_EVENT',
  'EV_EFI_GPT_EVENT2',
  'EV_EFI_ACTION',
])

function candidatesOf({ type, data }: LoggedEvent): readonly Uint8Array[] {
  const name = eventTypeName(type)
  if (measuredWhole.has(name)) return [data]
  if (name === 'EV_IPL') return bootLoaderTexts(data)
  const variable = name === 'EV_EFI_VARIABLE_BOOT' ? decodeUefiVariable(data) : undefined
  return variable === undefined ? [] : [variable.value] // of a boot variable, the value alone
}

/** Boot loaders: the text as it is (systemd-stub), or behind a word that says what it is and without the NUL (GRUB). */
function bootLoaderTexts(data: Uint8Array): readonly Uint8Array[] {
  const text = data.at(-1) === 0 ? data.subarray(0, -1) : data
  const behind = Buffer.from(text).indexOf(': ')
  return [data, text, ...(behind < 0 ? [] : [text.subarray(behind + 2)])]
}
