import { decodeJoinAnswer, encodeBase64url, parseJoinUri, routes } from '#protocol'
import { createCsr } from '#x509'
import { checkAnswer } from './answer.js'
import type { Clock } from './clock.js'
import type { DeviceKey } from './device-key.js'
import type { EnrollmentFacts, IssuedGeneration } from './generation.js'
import { ServiceConnection, type ServiceLimits } from './service.js'
import { createSoftwareKeyFile } from './key-file.js'
import { SoftwareKey } from './software-key.js'
import type { StateFolder } from './state-folder.js'
import { trustIn, verifyServer } from './trust.js'

/**
 * When to ask for the next certificate: at random inside the service's window; a window in the past means now (RFC 9773
 * §4.2). One that opens when the certificate is nearly over is too late whoever says it: a fifth of its life is kept.
 */
export function renewalTime(
  { renewal, notBefore, notAfter }: Pick<EnrollmentFacts, 'renewal' | 'notBefore' | 'notAfter'>,
  random: () => number,
): number {
  const length = Math.max(0, renewal.end.getTime() - renewal.start.getTime())
  const latest = notAfter.getTime() - (notAfter.getTime() - notBefore.getTime()) / 5
  return Math.min(renewal.start.getTime() + random() * length, latest)
}

export interface Renewing {
  readonly state: StateFolder
  readonly clock: Clock
  readonly limits?: ServiceLimits
}

/**
 * Asks for the next certificate with the one in use (enrollment spec §5), and switches to it. The old generation stays
 * until the new one has connected. A software key is replaced; a key in a TPM stays, and only its certificate changes.
 * @throws AgentError
 */
export async function renew(
  current: IssuedGeneration,
  key: DeviceKey,
  { state, clock, limits }: Renewing,
): Promise<IssuedGeneration> {
  const uri = parseJoinUri(current.facts.joinUri)
  const next = await state.requestKey(
    (written) => Promise.resolve(written.kind === current.key.kind),
    () => Promise.resolve(current.key.kind === 'tpm' ? current.key : createSoftwareKeyFile()),
  )
  const nextKey = next.key.kind === 'software' ? SoftwareKey.fromPem(next.key.pem) : key
  const csr = await createCsr({ spki: nextKey.spki, sign: (data) => nextKey.sign(data) })
  const trust = trustIn(current.trustBundle)
  const { certificateChain } = current
  const verify = (chain: readonly Uint8Array[]): Promise<void> => verifyServer(chain, uri, trust, clock)
  const target = { host: uri.host, port: uri.port, ca: [], certificateChain, verify }
  const service = new ServiceConnection(await key.connect(target), uri, limits)
  try {
    const answer = await service.send(routes.renew, decodeJoinAnswer, { csr: encodeBase64url(csr) })
    const serverTime = answer.serverTime.getTime()
    await verifyServer(service.peerChain, uri, trust, clock.asTold(serverTime))
    await state.keepClockFloor(clock.set(serverTime))
    const issued = await state.complete(next, checkAnswer(answer, { uri, key: nextKey, clock, before: current }))
    await state.switchTo(issued.number)
    return issued
  } finally {
    service.close()
  }
}
