import Type from 'typebox'
import { routes, type ServicePage, servicePageLimits } from '#protocol'
import { ServerError } from '../errors.js'
import { parseWanted } from '../discovery/wanted.js'
import { type App, at, peerOf } from './app.js'
import { requireCertificate } from './channel.js'
import { leavingOf } from './line-answers.js'
import { RequestShares } from './request-shares.js'
import { deviceId, labels, strict } from './schemas/fields.js'
import { held } from './schemas/held.js'
import type { Service } from './service.js'

/** Each goes through all services that there are; a device has no use for two answers at a time. */
const most = { atOnce: 64, ofSource: 1 } as const

const name = Type.String()
const page = held<ServicePage>()(
  strict({
    services: Type.Array(
      strict({
        device: deviceId,
        labels,
        service: name,
        protocol: name,
        port: Type.Integer({ minimum: 1, maximum: 65_535 }),
        host: Type.Optional(Type.String({ description: 'Where the device says that it is reached' })),
        online: Type.Boolean({ description: 'Whether the device is connected now' }),
      }),
      { maxItems: servicePageLimits.maxServices },
    ),
    next: Type.Optional(Type.String({ description: 'The `after` of the next page' })),
  }),
)

/** Which services of others a device may see, by its client certificate and the policy in force. */
export function addDiscoveryRoutes(app: App, { discovery }: Service): void {
  const shares = new RequestShares(most)

  app.route({
    ...at(routes.discoverServices),
    schema: {
      tags: ['devices'],
      summary: 'Services that other devices offer, as far as the policy lets this one see them, a page at a time',
      description: '`label.NAME=VALUE`, `service=NAME`, `protocol=NAME` (both may end with `*`), `limit`, `after`.',
      querystring: Type.Unsafe<Readonly<Record<string, unknown>>>({ type: 'object' }),
      response: { 200: page },
    },
    handler: async (request, reply) => {
      const asker = discovery.admit(requireCertificate(request), peerOf(request).address)
      if (!shares.take(asker.device, reply.raw)) {
        throw new ServerError('DISCOVERY_BUSY', 'another answer to this device, or to too many, is not done: ask again')
      }
      const [, query = ''] = request.url.split('?')
      return discovery.page(asker, parseWanted(request.query), query, leavingOf(reply))
    },
  })
}
