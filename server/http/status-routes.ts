import { routes } from '#protocol'
import { type App, at } from './app.js'
import { sessionList, statusView } from './schemas.js'
import type { Service } from './service.js'

const tags = ['service']

export function addStatusRoutes(app: App, service: Service): void {
  app.route({
    ...at(routes.status),
    schema: { tags, summary: 'How the service is', response: { 200: statusView } },
    handler: async () => service.status(),
  })

  app.route({
    ...at(routes.listSessions),
    schema: { tags, summary: 'MQTT sessions, connected or kept', response: { 200: sessionList } },
    handler: async () => service.sessions(),
  })
}
