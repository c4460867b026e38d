import { routes } from '#protocol'
import { type App, at } from './app.js'
import { statusView } from './schemas/status.js'
import type { Service } from './service.js'

const tags = ['service']

export function addStatusRoutes(app: App, service: Service): void {
  app.route({
    ...at(routes.status),
    schema: { tags, summary: 'How the service is', response: { 200: statusView } },
    handler: async () => service.status(),
  })
}
