import { type DeviceId, parseDeviceId, routes, type SessionView } from '#protocol'
import { ServerError } from '../errors.js'
import { parseQuery } from '../query/query.js'
import { sessionTerms } from '../query/session-terms.js'
import { type App, at } from './app.js'
import { listQuery } from './schemas/fields.js'
import { kickAnswer, kickRequest, sessionList, sessionParams } from './schemas/sessions.js'
import type { Service } from './service.js'

const tags = ['sessions']

export function addSessionRoutes(app: App, service: Service): void {
  const { registry, operators, audit } = service
  const terms = sessionTerms(({ device }) => registry.device(device)?.labels ?? {})

  app.route({
    ...at(routes.listSessions),
    schema: {
      tags,
      summary: 'MQTT sessions, connected or kept, all or those that a query matches',
      querystring: listQuery,
      response: { 200: sessionList },
    },
    handler: async (request) => {
      const mandate = operators.mandateOf(request)
      const theirs = service.sessions().filter(({ device }) => mandate.includesDevice(device))
      return theirs.filter(parseQuery(request.query.q ?? '', terms, service.now()))
    },
  })

  app.route({
    ...at(routes.kickSession),
    schema: {
      tags,
      summary: 'End the connection of a session, which may come back, or forget the session',
      params: sessionParams,
      body: kickRequest,
      response: { 200: kickAnswer },
    },
    handler: async (request) => {
      const { forget = false } = request.body
      operators.mandateOf(request).requireDevice(deviceOf(request.params.id))
      const { session, clientId, device } = require(request.params.id, forget)
      const act = { device, session, clientId, forget, ...operators.of(request, request.body) }
      // On disk before it acts: what an operator does to a device is never without a record.
      await audit.whenDurable(audit.append({ event: 'session.kick', ...act }))
      const { ended, purged } = service.kick(clientId, { forget }) ?? { ended: false, purged: 0 }
      return { clientId, device, ended, forgotten: forget, purged }
    },
  })

  function require(id: string, forget: boolean): SessionView {
    const session = service.sessions().find(({ clientId }) => clientId === id)
    if (session === undefined) throw new ServerError('NOT_FOUND', `there is no session ${id}`)
    if (session.connected || forget) return session
    throw new ServerError('SESSION_AWAY', `${id} is not connected; to end what is kept for it, forget it`)
  }
}

/** What stands before the `~` of a client id. */
function deviceOf(clientId: string): DeviceId {
  return parseDeviceId(clientId.replace(/~.*/s, ''))
}
