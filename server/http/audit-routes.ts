import type { FastifyRequest } from 'fastify'
import { type DeviceId, routes } from '#protocol'
import { linesAbout } from '../record-lines.js'
import { type App, at } from './app.js'
import { type AuditSearch, readAuditSearch } from './audit-search.js'
import { begun, leavingOf, sendLines, whileAllowed } from './line-answers.js'
import type { Mandate } from './mandate.js'
import { auditCheckpoint, auditQuery, recordParams, rotateKeyAnswer, rotateKeyRequest } from './schemas/audit.js'
import type { Service } from './service.js'

const tags = ['audit']

export function addAuditRoutes(app: App, service: Service): void {
  const { auditReads, operators, registry, now } = service

  app.route({
    ...at(routes.searchAudit),
    schema: {
      tags,
      summary: 'Records of the audit log, one JSON document a line, newest first unless asked otherwise',
      description:
        'Where the rest cannot be given, the last line is {"problem":…} and says why, as RFC 9457 has it. With follow, ' +
        'new records come until the service stops; then it ends behind the last one.',
      querystring: auditQuery,
      produces: ['application/x-ndjson'],
    },
    handler: async (request, reply) => {
      const mandate = operators.mandateOf(request)
      const isOnEverything = mandate.isOnEveryDevice
      const search = within(request, mandate, readAuditSearch(request.query, now()))
      const by = operators.of(request)
      auditReads.add({ of: 'records', search }, by)
      const leaving = leavingOf(reply)
      const found = service.searchAudit(search, { operator: by.operator, leaving })
      const allowed = whileAllowed(found, () => {
        operators.requireStill(request)
        if (isOnEverything) mandate.requireEveryDevice() // nothing is left out for one whose right is narrowed meanwhile
      })
      // What was his when he asked need not be his any more when its line goes out.
      const lines = isOnEverything ? allowed : linesAbout(allowed, (device) => mandate.includesDevice(device))
      if (search.follow) service.requests.follows(reply.raw)
      // Whoever follows is answered before anything comes.
      return sendLines(request, reply, search.follow ? lines : await begun(lines), leaving)
    },
  })

  app.route({
    ...at(routes.auditCheckpoint),
    schema: { tags, summary: 'The newest signed checkpoint', response: { 200: auditCheckpoint } },
    handler: async () => service.checkpoint(),
  })

  app.route({
    ...at(routes.rotateAuditKey),
    schema: {
      tags,
      summary: 'Signs checkpoints with a new key, and for some days with the one before as well',
      body: rotateKeyRequest,
      response: { 200: rotateKeyAnswer },
    },
    handler: async (request) => service.rotateAuditKey(request.body, operators.of(request, request.body)),
  })

  app.route({
    ...at(routes.auditProof),
    schema: {
      tags,
      summary: 'Proof that the log holds a record, as a C2SP tlog-proof with the record in it',
      params: recordParams,
      produces: ['text/plain'],
    },
    handler: async (request, reply) => {
      const sequence = Number(request.params.id)
      const mandate = operators.mandateOf(request)
      if (!mandate.isOnEveryDevice) mandate.requireRecord(await service.recordAt(sequence))
      auditReads.add({ of: 'proofs', lowest: sequence, highest: sequence }, operators.of(request))
      return reply.type('text/plain; charset=utf-8').send(await service.proveRecord(sequence))
    },
  })

  /** Of those devices only on which the operator may read; for one who follows, whichever these are at each time. */
  function within(request: FastifyRequest, mandate: Mandate, { query, follow }: AuditSearch): AuditSearch {
    if (query.device !== undefined) mandate.requireDevice(query.device)
    if (mandate.isOnEveryDevice) return { query, follow }
    const isTheirs = (device: DeviceId) => {
      if (follow) operators.requireStill(request) // else who may no longer read would wait in silence
      return mandate.includesDevice(device)
    }
    if (follow) return { query: { ...query, devices: { has: isTheirs } }, follow }
    const devices = new Set(registry.devices().flatMap(({ id }) => (isTheirs(id) ? [id] : [])))
    return { query: { ...query, devices }, follow }
  }
}
