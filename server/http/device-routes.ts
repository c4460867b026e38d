import type { FastifyRequest } from 'fastify'
import { type DeviceId, type DeviceView, type Labels, type LockTarget, routes } from '#protocol'
import { checkLockTarget, type Device } from '#registry'
import { ServerError } from '../errors.js'
import { deviceTerms } from '../query/device-terms.js'
import { parseQuery } from '../query/query.js'
import { defaultProfile } from '../profiles.js'
import { anchorOf } from './anchor.js'
import { type App, at } from './app.js'
import { includesTarget, requireTarget } from './belongings.js'
import { enforcementOf, statusOf } from './enforcement.js'
import { leavingOf } from './line-answers.js'
import {
  devicePage,
  deviceParams,
  devicesQuery,
  deviceView,
  registerDeviceRequest,
  revokeAnswer,
  revokeRequest,
  rotateAnswer,
  rotateRequest,
} from './schemas/devices.js'
import { actQuery, labels } from './schemas/fields.js'
import type { Service } from './service.js'
import { viewDevice } from './views.js'

const tags = ['devices']
const mostOnPage = 1000

export function addDeviceRoutes(app: App, service: Service): void {
  const { registry, operators, inventory, now } = service

  app.route({
    ...at(routes.listDevices),
    schema: {
      tags,
      summary: 'Devices, all or those that a query matches, a page at a time',
      querystring: devicesQuery,
      response: { 200: devicePage },
    },
    handler: async (request, reply) => {
      const mandate = operators.mandateOf(request)
      const { q = '', order = 'id', limit = mostOnPage, after } = request.query
      const wanted = {
        isTheirs: ({ labels }: Device) => mandate.includes(labels),
        matches: parseQuery(q, deviceTerms, now()),
        ...{ order, after, limit: Number(limit) },
      }
      const page = await inventory.page(wanted, leavingOf(reply))
      return { ...page, devices: page.devices.map((sight) => viewDevice(sight, registry)) }
    },
  })

  app.route({
    ...at(routes.getDevice),
    schema: { tags, summary: 'One device', params: deviceParams, response: { 200: deviceView } },
    handler: async (request) => {
      operators.mandateOf(request).requireDevice(request.params.id)
      return view(request.params.id)
    },
  })

  app.route({
    ...at(routes.registerDevice),
    schema: {
      tags,
      summary: 'Make hardware known before its device arrives',
      body: registerDeviceRequest,
      response: { 201: deviceView },
    },
    handler: async (request, reply) => {
      const by = operators.of(request, request.body)
      const { id: device, profile = defaultProfile, labels = {} } = request.body
      const anchor = anchorOf(request.body)
      const mandate = operators.mandateOf(request)
      mandate.requireAll([labels])
      mandate.requireName(device)
      await registry.registerDevice({ device, profile, labels, anchor }, by)
      return reply.code(201).send(view(device))
    },
  })

  app.route({
    ...at(routes.labelDevice),
    schema: {
      tags,
      summary: 'Replace all labels of a device',
      params: deviceParams,
      querystring: actQuery,
      body: labels,
      response: { 200: deviceView },
    },
    handler: async (request) => {
      const by = operators.of(request, request.query)
      const mandate = operators.mandateOf(request)
      mandate.requireDevice(request.params.id)
      mandate.requireAll([request.body]) // nobody gives a device away to where he has no say
      requireLiftable(request, request.params.id, request.body)
      await registry.labelDevice(request.params.id, request.body, by)
      return view(request.params.id)
    },
  })

  app.route({
    ...at(routes.rotateDevices),
    schema: {
      tags,
      summary: 'Have devices replace the certificates that they hold now; each is told when it asks next',
      body: rotateRequest,
      response: { 200: rotateAnswer },
    },
    handler: async (request) => {
      const by = operators.of(request, request.body)
      const { target, dryRun = false } = request.body
      requireTarget(target, operators.mandateOf(request), registry)
      const hit = devicesToRotate(target)
      if (!dryRun) await registry.rotateDevices(hit, target, by)
      return { dryRun, devices: hit.length }
    },
  })

  app.route({
    ...at(routes.revokeDevice),
    schema: {
      tags,
      summary: 'End a device: its sessions before this answers, its certificates, its way back',
      params: deviceParams,
      body: revokeRequest,
      response: { 200: revokeAnswer, 202: revokeAnswer },
    },
    handler: async (request, reply) => {
      const by = operators.of(request, request.body)
      const device = request.params.id
      operators.mandateOf(request).requireDevice(device)
      // Acts first and is recorded second, so that a full disk cannot keep a device alive.
      const revoking = registry.revokeDevice(device, { reason: request.body.reason, ...by })
      const answer = { device, ...(await enforcementOf(registry, revoking)) }
      return reply.code(statusOf(answer, 200)).send(answer)
    },
  })

  function devicesToRotate(target: LockTarget): readonly DeviceId[] {
    checkLockTarget(target, 'lock')
    if ('addresses' in target) {
      throw new ServerError('REQUEST_INVALID', 'target: an address says where a device is and not which')
    }
    return registry.locks.devicesHitBy(target).filter((device) => registry.device(device)?.state === 'active')
  }

  /** Whoever may not remove a lock does not take a device out from under it either. */
  function requireLiftable(request: FastifyRequest, device: DeviceId, labels: Labels): void {
    const mandate = operators.mandateOf(request, 'locks.remove')
    const lifted = registry.locks.liftedBy(labels, device)
    const beyond = lifted.find(({ target }) => !includesTarget(target, mandate, registry))
    if (beyond === undefined) return
    const cause = mandate.refusal(`on lock ${beyond.id}`, device)
    const problem = `lock ${beyond.id} is on ${device} by its labels, and would not be with these: it takes locks.remove on that lock`
    throw new ServerError('LABELS_LOCKED', problem, { cause })
  }

  function view(id: DeviceId): DeviceView {
    return viewDevice(inventory.sight(require(id)), registry)
  }

  function require(id: DeviceId): Device {
    const device = registry.device(id)
    if (device === undefined) throw new ServerError('NOT_FOUND', `there is no device ${id}`)
    return device
  }
}
