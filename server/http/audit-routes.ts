import { Readable } from 'node:stream'
import { type AuditRecord, routes } from '#protocol'
import { type App, at } from './app.js'
import { encodeAuditLine, readAuditSearch } from './audit-search.js'
import { auditCheckpoint, auditQuery } from './schemas.js'
import type { Service } from './service.js'

const tags = ['audit']

export function addAuditRoutes(app: App, service: Service): void {
  const { auditReads, operators } = service

  app.route({
    ...at(routes.searchAudit),
    schema: {
      tags,
      summary: 'Records of the audit log, one JSON document a line, oldest first',
      querystring: auditQuery,
      produces: ['application/x-ndjson'],
    },
    handler: async (request, reply) => {
      auditReads.add(request.query, operators.of(request))
      const leaving = new AbortController()
      const stop = () => leaving.abort()
      reply.raw.once('close', stop)
      const records = service.searchAudit(readAuditSearch(request.query), leaving.signal)
      return reply.type('application/x-ndjson').send(Readable.from(encodeLines(records)))
    },
  })

  app.route({
    ...at(routes.auditCheckpoint),
    schema: { tags, summary: 'The newest signed checkpoint', response: { 200: auditCheckpoint } },
    handler: async () => service.checkpoint(),
  })
}

async function* encodeLines(records: AsyncIterable<AuditRecord>): AsyncIterable<string> {
  for await (const record of records) yield encodeAuditLine(record)
}
