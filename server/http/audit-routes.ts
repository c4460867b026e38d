import { Readable } from 'node:stream'
import { type AuditRecord, routes } from '#protocol'
import { type App, at } from './app.js'
import { describeSearch, encodeAuditLine, readAuditSearch } from './audit-search.js'
import { auditCheckpoint, auditQuery } from './schemas.js'
import type { Service } from './service.js'

const tags = ['audit']

export function addAuditRoutes(app: App, service: Service): void {
  const { auditReads, operators, now } = service

  app.route({
    ...at(routes.searchAudit),
    schema: {
      tags,
      summary: 'Records of the audit log, one JSON document a line, newest first unless asked otherwise',
      querystring: auditQuery,
      produces: ['application/x-ndjson'],
    },
    handler: async (request, reply) => {
      const search = readAuditSearch(request.query, now())
      auditReads.add(describeSearch(search), operators.of(request))
      const leaving = new AbortController()
      const stop = () => leaving.abort()
      reply.raw.once('close', stop)
      const records = service.searchAudit(search, leaving.signal)
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
