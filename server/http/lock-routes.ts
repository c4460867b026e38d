import { type LockAnswer, type LockRequest, type LockView, routes } from '#protocol'
import { addressOf, checkLockTarget, holdsAddress, type Lock } from '#registry'
import { ServerError } from '../errors.js'
import { type App, at } from './app.js'
import { labelsUnderLock, requireTarget } from './belongings.js'
import { enforcementOf, statusOf } from './enforcement.js'
import { actQuery } from './schemas/fields.js'
import { lockAnswer, lockList, lockParams, lockRequest, lockView } from './schemas/locks.js'
import type { Service } from './service.js'
import { isoTime } from './views.js'

const tags = ['locks']

export function addLockRoutes(app: App, service: Service): void {
  const { registry, operators, now } = service

  app.route({
    ...at(routes.listLocks),
    schema: { tags, summary: 'Every lock that acts', response: { 200: lockList } },
    handler: async (request) => {
      const counts = registry.locks.countDevices()
      const mandate = operators.mandateOf(request)
      const theirs = registry.allLocks().filter(({ target }) => mandate.includesAll(labelsUnderLock(target, registry)))
      return theirs.map((lock) => view(lock, counts.get(lock.id) ?? 0))
    },
  })

  app.route({
    ...at(routes.addLock),
    schema: {
      tags,
      summary: 'Keep somebody out: sessions end before this answers, no connection and no certificate from then on',
      body: lockRequest,
      response: { 200: lockAnswer, 201: lockAnswer, 202: lockAnswer },
    },
    handler: async (request, reply) => {
      const by = operators.of(request)
      const { target, mode = 'lock', ttlSeconds, reason } = request.body
      requireTarget(target, operators.mandateOf(request), registry)
      if (mode === 'revoke') requireTarget(target, operators.mandateOf(request, 'devices.revoke'), registry)
      if (request.body.dryRun === true) return preview(request.body)
      const notAfter = ttlSeconds === undefined ? {} : { notAfter: now() + ttlSeconds * 1000 }
      // Acts first and is recorded second, so that a full disk cannot keep anybody in.
      const locking = registry.addLock({ lock: service.createLockId(), target, mode, reason, ...notAfter }, by)
      const { lock, devices } = locking
      const answer: LockAnswer = {
        ...{ lock: view(lock, devices), dryRun: false, devices },
        ...(await enforcementOf(registry, locking)),
      }
      return reply.code(statusOf(answer, 201)).send(answer)
    },
  })

  app.route({
    ...at(routes.removeLock),
    schema: {
      tags,
      summary: 'Let in again whom a lock has kept out; what was revoked stays revoked',
      params: lockParams,
      querystring: actQuery,
      response: { 200: lockView },
    },
    handler: async (request) => {
      const lock = registry.lock(request.params.id)
      const mandate = operators.mandateOf(request)
      if (lock === undefined) mandate.requireEveryDevice()
      if (lock === undefined) throw new ServerError('NOT_FOUND', `there is no lock ${request.params.id}`)
      requireTarget(lock.target, mandate, registry)
      const removed = view(lock, registry.locks.devicesHitBy(lock.target).length)
      await registry.removeLock(lock.id, operators.of(request, request.query))
      return removed
    },
  })

  function preview({ target, mode = 'lock' }: LockRequest): LockAnswer {
    checkLockTarget(target, mode)
    const hit = new Set<string>(registry.locks.devicesHitBy(target))
    const isThere = 'addresses' in target ? holdsAddress(target.addresses) : () => false
    const ends = registry.locks.standingBy(mode) === 'locked'
    const sessions = service.sessions().filter((session) => {
      return ends && session.connected && (hit.has(session.device) || isThere(addressOf(session.peer)))
    })
    const counts = { devices: hit.size, sessions: sessions.length, purged: 0 }
    return { dryRun: true, ...counts, recorded: false, outstanding: [] }
  }

  function view({ id, target, mode, reason, by, at: since, notAfter, revision }: Lock, devices: number): LockView {
    return {
      ...{ id, target, mode, reason, by, at: isoTime(since) },
      ...(mode === 'quarantine' && registry.locks.standingBy(mode) === 'locked' && { actsAs: 'lock' as const }),
      ...(notAfter !== undefined && { notAfter: isoTime(notAfter) }),
      ...{ revision, devices },
    }
  }
}
