import { Readable } from 'node:stream'
import { unfinished } from '#backup'
import { asError, routes } from '#protocol'
import { type App, at } from './app.js'
import { begun, endingInWords, leavingOf, whileAllowed } from './line-answers.js'
import { reportProblem } from './problems.js'
import { act, strict } from './schemas/fields.js'
import type { Service } from './service.js'

export function addBackupRoutes(app: App, service: Service): void {
  const { operators } = service

  app.route({
    ...at(routes.takeBackup),
    schema: {
      tags: ['backup'],
      summary: 'All that a service needs to go on elsewhere, with its keys, while it goes on here',
      description: 'A tar archive. Its last member is SHA256SUMS: what ends without it is not finished.',
      body: strict(act),
      produces: ['application/x-tar'],
    },
    handler: async (request, reply) => {
      const leaving = leavingOf(reply)
      const backup = service.takeBackup(operators.of(request, request.body))
      leaving.addEventListener('abort', () => void backup.return().catch(() => undefined))
      const allowed = await begun(whileAllowed(backup, () => operators.requireStill(request)))
      const explain = (error: unknown) => {
        const { detail, title } = reportProblem(asError(error), request)
        return unfinished(detail ?? title)
      }
      const pieces = Readable.from(endingInWords(allowed, leaving, explain), { highWaterMark: 1 })
      return reply.type('application/x-tar').send(pieces)
    },
  })
}
