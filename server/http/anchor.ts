import { idevidSerialAnchor } from '#enrollment'
import type { Anchor, RegisterDeviceRequest } from '#protocol'
import { ServerError } from '../errors.js'

type Named = Pick<RegisterDeviceRequest, 'ekHash' | 'idevidSpki' | 'idevidSerial'>

/** By what a device is to be recognised when it arrives. @throws ServerError REQUEST_INVALID */
export function anchorOf({ ekHash, idevidSpki, idevidSerial }: Named): Anchor {
  const anchors: Anchor[] = []
  if (ekHash !== undefined) anchors.push({ kind: 'ek', hash: ekHash })
  if (idevidSpki !== undefined) anchors.push({ kind: 'idevid', hash: idevidSpki })
  if (idevidSerial !== undefined) anchors.push(idevidSerialAnchor(idevidSerial.maker, idevidSerial.serial))
  const [anchor, ...others] = anchors
  if (anchor !== undefined && others.length === 0) return anchor
  throw new ServerError('REQUEST_INVALID', 'expected one of ekHash, idevidSpki and idevidSerial')
}
