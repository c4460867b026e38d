import type { JoinAnswer, JoinUri } from '#protocol'
import { checkAnswer } from './answer.js'
import type { Clock } from './clock.js'
import type { DeviceKey } from './device-key.js'
import type { IssuedGeneration } from './generation.js'
import type { KeyFile } from './key-file.js'
import { ServiceConnection, type ServiceLimits } from './service.js'
import type { StateFolder } from './state-folder.js'
import { openTls } from './tls.js'
import { verifyServer } from './trust.js'

/** One way in: how the device's key comes to be, and what is said to the service with it. */
export interface JoinMethod {
  /** Whether a key that was written before, and never answered, can be asked for this way. */
  isUsable(key: KeyFile): Promise<boolean>
  createKey(): Promise<KeyFile>
  /** Whatever takes time without the service, so that the service does not wait for it. */
  prepare(key: KeyFile): Promise<Prepared>
}

export interface Prepared {
  readonly key: DeviceKey
  ask(service: ServiceConnection, uri: JoinUri): Promise<JoinAnswer>
}

export interface Enrolling {
  readonly uri: JoinUri
  readonly method: JoinMethod
  readonly state: StateFolder
  readonly clock: Clock
  readonly limits?: ServiceLimits
}

/**
 * First contact (enrollment spec, common rules and §7): the key is on disk before anyone hears of it, the service must
 * show the pinned key before it hears anything, and the certificate is on disk before it is used. Whatever stops this
 * halfway, doing it again carries the same key and so gets the same certificate.
 * @throws AgentError
 */
export async function enroll({ uri, method, state, clock, limits }: Enrolling): Promise<IssuedGeneration> {
  const generation = await state.requestKey(method.isUsable, method.createKey)
  const { key, ask } = await method.prepare(generation.key)
  try {
    const trust = { pins: uri.pins }
    const verify = (chain: readonly Uint8Array[]): Promise<void> => verifyServer(chain, uri, trust, clock)
    const service = new ServiceConnection(
      await openTls({ host: uri.host, port: uri.port, ca: [], verify }),
      uri,
      limits,
    )
    try {
      const answer = await ask(service, uri)
      const serverTime = answer.serverTime.getTime()
      await verifyServer(service.peerChain, uri, trust, clock.asTold(serverTime))
      await state.keepClockFloor(clock.set(serverTime))
      const issued = await state.complete(generation, checkAnswer(answer, { uri, key, clock }))
      await state.switchTo(issued.number)
      return issued
    } finally {
      service.close()
    }
  } finally {
    await key.close()
  }
}
