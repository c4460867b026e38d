import type { Waiting } from '#enrollment'
import { type ApprovalView, routes } from '#protocol'
import { ServerError } from '../errors.js'
import { type App, at } from './app.js'
import type { Mandate } from './mandate.js'
import { approvalList, approvalParams, approveRequest, denyAnswer, denyRequest } from './schemas/approvals.js'
import { deviceView } from './schemas/devices.js'
import type { Service } from './service.js'
import { isoTime, viewDevice } from './views.js'

const tags = ['approvals']

/**
 * Machines that wait for an operator. One that nobody knows belongs to nobody yet: whoever may register devices sees it,
 * and lets it in under labels of his own; to have it refused takes the right for every device.
 */
export function addApprovalRoutes(app: App, service: Service): void {
  const { approvals, registry, inventory, operators } = service

  app.route({
    ...at(routes.listApprovals),
    schema: { tags, summary: 'Machines with genuine hardware that wait', response: { 200: approvalList } },
    handler: async (request) => {
      const mandate = operators.mandateOf(request)
      return approvals
        .list()
        .filter(({ device }) => device === undefined || mandate.includesDevice(device))
        .map(viewOf)
    },
  })

  app.route({
    ...at(routes.approveJoin),
    schema: {
      tags,
      summary: 'Let a machine in when it asks next: an unknown one as a device that is registered by this',
      params: approvalParams,
      body: approveRequest,
      response: { 200: deviceView },
    },
    handler: async (request) => {
      const { reason, ...terms } = request.body
      const by = operators.of(request, { comment: reason })
      const mandate = operators.mandateOf(request)
      const waiting = approvals.require(request.params.id)
      if (waiting.device !== undefined) mandate.requireDevice(waiting.device)
      else requireNew(mandate, terms)
      const id = await approvals.approve(waiting.anchor.hash, terms, by)
      const device = registry.device(id)
      if (device === undefined) throw new ServerError('NOT_FOUND', `there is no device ${id}`)
      return viewDevice(inventory.sight(device), registry)
    },
  })

  app.route({
    ...at(routes.denyJoin),
    schema: {
      tags,
      summary: 'Refuse a machine that waits, for a time',
      params: approvalParams,
      body: denyRequest,
      response: { 200: denyAnswer },
    },
    handler: async (request) => {
      const by = operators.of(request, { comment: request.body.reason })
      const mandate = operators.mandateOf(request)
      const { anchor, device } = approvals.require(request.params.id)
      if (device === undefined) mandate.requireEveryDevice()
      else mandate.requireDevice(device)
      return { hash: anchor.hash, until: isoTime(await approvals.deny(anchor.hash, by)) }
    },
  })
}

function requireNew(mandate: Mandate, { device, labels = {} }: Parameters<Service['approvals']['approve']>[1]): void {
  mandate.requireAll([labels])
  if (device !== undefined) mandate.requireName(device)
}

function viewOf({ anchor, since, last, aliases: _, spkiHash: __, ...waiting }: Waiting): ApprovalView {
  return { hash: anchor.hash, anchorKind: anchor.kind, ...waiting, since: isoTime(since), last: isoTime(last) }
}
