import {
  decodeOidcJoinAnswer,
  encodeBase64url,
  formatOidcAudience,
  type JoinUri,
  type OidcJoinAnswer,
  oidcJoinLimits,
  routes,
} from '#protocol'
import { keySetHash, spkiHash } from '#x509'
import { checkAnswer } from '../answer.js'
import type { Clock } from '../clock.js'
import { AgentError } from '../errors.js'
import type { IssuedGeneration } from '../generation.js'
import { ServiceConnection } from '../service.js'
import { openTls } from '../tls.js'
import { trustDomainOf, verifyServer } from '../trust.js'
import { csrOf, type SimulatedDevice } from './job-devices.js'

/** A thousand certificates take a while to be made. */
const limits = { timeoutMs: 60_000, maxAnswerBytes: oidcJoinLimits.maxAnswerBytes }

export interface JobJoin {
  readonly uri: JoinUri
  readonly clock: Clock
  readonly devices: readonly SimulatedDevice[]
}

/** What the job's token has to be made for (enrollment spec §4): these keys, for this service. @throws AgentError */
export async function audienceFor({ uri, clock, devices }: JobJoin): Promise<string> {
  const keySet = keySetHash(devices.map(({ key }) => spkiHash(key.spki)))
  const { profile } = uri
  return withService(uri, clock, async ({ peerChain }) =>
    formatOidcAudience(trustDomainOf(peerChain), { profile, keySet }),
  )
}

/** One request for all of them; then each certificate goes to its key. @throws AgentError */
export async function joinWithOidc(
  { uri, clock, devices }: JobJoin,
  idToken: string,
): Promise<readonly IssuedGeneration[]> {
  const { profile } = uri
  const csrs: string[] = []
  for (const device of devices) csrs.push(encodeBase64url(await csrOf(device)))
  const answer = await withService(uri, clock, async (service) => {
    const answer = await service.send(routes.joinOidc, decodeOidcJoinAnswer, { profile, idToken, csrs })
    const serverTime = answer.serverTime.getTime()
    await verifyServer(service.peerChain, uri, { pins: uri.pins }, clock.asTold(serverTime))
    clock.set(serverTime)
    return answer
  })
  const issued: IssuedGeneration[] = []
  for (const [at, device] of devices.entries()) issued.push(await keep(device, answerFor(answer, at), { uri, clock }))
  return issued
}

async function keep(
  { state, generation, key, issued: before }: SimulatedDevice,
  answer: Parameters<typeof checkAnswer>[0],
  { uri, clock }: Pick<JobJoin, 'uri' | 'clock'>,
): Promise<IssuedGeneration> {
  if (before !== undefined) return before
  const issued = await state.complete(generation, checkAnswer(answer, { uri, key, clock }))
  await state.switchTo(issued.number)
  return issued
}

/** What one device is told, as if it had joined alone. */
function answerFor({ devices, run, ...common }: OidcJoinAnswer, at: number): Parameters<typeof checkAnswer>[0] {
  const device = devices[at]
  if (device !== undefined) return { ...common, ...device }
  throw new AgentError('ANSWER_INVALID', `run ${run} has ${devices.length} devices, fewer than were asked for`)
}

/** A service that has shown the pinned key. */
async function withService<T>(uri: JoinUri, clock: Clock, use: (service: ServiceConnection) => Promise<T>): Promise<T> {
  const verify = (chain: readonly Uint8Array[]) => verifyServer(chain, uri, { pins: uri.pins }, clock)
  const connection = await openTls({ host: uri.host, port: uri.port, ca: [], verify })
  const service = new ServiceConnection(connection, uri, limits)
  try {
    return await use(service)
  } finally {
    service.close()
  }
}
