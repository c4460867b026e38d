import type { CertificateView, CloneView, DeviceView } from '#protocol'
import type { Output } from '../../output.js'
import { formatLabels, formatTime } from '../arguments.js'

export function showDevice(output: Output, device: DeviceView): void {
  const { revoked, verdict } = device
  output.one(device, [
    ['id', device.id],
    ['state', device.state],
    ['kept back', device.standing && `${device.standing}; touchmark locks ls says by what`],
    ['online', device.online ? 'yes' : 'no'],
    ['seen', device.seen === undefined ? 'never' : formatTime(device.seen)],
    ['profile', device.profile],
    ['labels', formatLabels(device.labels) || '-'],
    ...device.anchors.map(({ kind, hash }) => ['anchor', `${kind} ${hash}`] as const),
    ...device.instances.flatMap((instance) =>
      instance.certificates.map((certificate) => ['certificate', describe(certificate, instance.id)] as const),
    ),
    ...device.instances.flatMap(({ id, clone }) => (clone ? [['copied', describeClone(id, clone)] as const] : [])),
    ...Object.entries(device.reported ?? {}).map(([name, value]) => [`says ${name}`, value] as const),
    ['PCRs', verdict && `${verdict.outcome}, quoted ${formatTime(verdict.at)}`],
    ...(verdict?.reasons ?? []).map((reason) => ['because', reason] as const),
    ['revoked', revoked && `${formatTime(revoked.at)} by ${revoked.by}: ${revoked.reason}`],
    ['comment', revoked?.comment],
  ])
}

function describeClone(instance: string, { at, presentedSerial, peer, lock }: CloneView): string {
  const from = peer === undefined ? '' : ` from ${peer}`
  return `a second copy of instance ${instance} showed ${presentedSerial}${from}, ${formatTime(at)}; lock ${lock}`
}

function describe({ serial, state, tier, notAfter, issuer, rotate }: CertificateView, instance: string): string {
  const parts = [
    `${serial} ${state}`,
    tier,
    `until ${formatTime(notAfter)}`,
    `instance ${instance}`,
    ...(issuer === undefined ? [] : [`by ${issuer}`]),
    ...(rotate ? ['to be replaced'] : []),
  ]
  return parts.join(', ')
}
