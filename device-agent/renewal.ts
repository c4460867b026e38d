import { decodeJoinAnswer, encodeBase64url, type JoinUri, type Labels, type ProfileName, routes } from '#protocol'
import { createCsr } from '#x509'
import { checkAnswer } from './answer.js'
import type { Clock } from './clock.js'
import type { DeviceKey } from './device-key.js'
import type { DeviceKeys } from './device-keys.js'
import type { IssuedGeneration } from './generation.js'
import type { KeyFile } from './key-file.js'
import { openOwnService, type OwnService } from './own-service.js'
import type { ServiceConnection, ServiceLimits } from './service.js'
import type { StateFolder } from './state-folder.js'
import { verifyServer } from './trust.js'

/** Whether a renewal makes a fresh key, or has the next certificate for the one that there is. */
export type KeyRotation = 'always' | 'never'

export interface Renewing {
  readonly state: StateFolder
  readonly clock: Clock
  readonly keys: DeviceKeys
  /** Default: `always` for a key in a file, which may have been copied; `never` for one in a TPM, which cannot. */
  readonly rotateKey?: KeyRotation | undefined
  readonly limits?: ServiceLimits
  /** What the machine says of itself now. Default: nothing */
  readonly facts?: (() => Promise<Labels>) | undefined
}

/**
 * Asks for the next certificate with the one in use (enrollment spec §5), and switches to it. The old generation stays
 * until the new one has connected. A key in a TPM is proven anew each time, whether it is fresh or the same.
 * @throws AgentError, TpmError
 */
export async function renew(
  current: IssuedGeneration,
  key: DeviceKey,
  { state, clock, keys, rotateKey, limits, facts }: Renewing,
): Promise<IssuedGeneration> {
  const unused = await state.unused(clock.now())
  if (unused !== undefined) {
    await state.switchTo(unused.number)
    return unused
  }
  const rotation = rotateKey ?? (current.key.kind === 'software' ? 'always' : 'never')
  const next = await state.requestKey(
    async (written) => written.kind === current.key.kind && (written.kind === 'software' || keys.canLoad(written)),
    async () => (rotation === 'always' ? keys.createBeside(current.key) : current.key),
  )
  const open = () => openOwnService(current, key, { clock, ...(limits !== undefined && { limits }) })
  const asking = await prepare(next.key, keys, open)
  const reported = await facts?.()
  const { service, uri, trust } = await open()
  try {
    const request = { ...(await asking.request(service, uri)), ...(reported && { reported }) }
    const answer = await service.send(routes.renew, decodeJoinAnswer, request)
    const serverTime = answer.serverTime.getTime()
    await verifyServer(service.peerChain, uri, trust, clock.asTold(serverTime))
    await state.keepClockFloor(clock.set(serverTime))
    const issued = await state.complete(next, checkAnswer(answer, { uri, key: asking.key, clock, before: current }))
    await state.switchTo(issued.number)
    return issued
  } finally {
    service.close()
  }
}

interface Asking {
  readonly key: DeviceKey
  request(service: ServiceConnection, uri: JoinUri): Promise<object>
}

/** Whatever takes time without the service, so that the service does not wait for it. */
async function prepare(file: KeyFile, keys: DeviceKeys, open: () => Promise<OwnService>): Promise<Asking> {
  const key = await keys.open(file)
  if (key.kind === 'tpm' && file.kind === 'tpm') {
    const { askTerms, gatherKeyEvidence, prepareProof } = await import('./tpm-evidence.js')
    const prover = await prepareProof(key, file.proof)
    const terms = await asked(open, askTerms)
    return { key, request: (service, { profile }) => gatherKeyEvidence(service, profile, prover, terms) }
  }
  const csr = await createCsr({ spki: key.spki, sign: (data) => key.sign(data) })
  return { key, request: () => Promise.resolve({ csr: encodeBase64url(csr) }) }
}

/** Over a connection of its own: the evidence is bound to the next one, and stands in its first request. */
async function asked<Answer>(
  open: () => Promise<OwnService>,
  ask: (service: ServiceConnection, profile: ProfileName) => Promise<Answer>,
): Promise<Answer> {
  const { service, uri } = await open()
  try {
    return await ask(service, uri.profile)
  } finally {
    service.close()
  }
}
