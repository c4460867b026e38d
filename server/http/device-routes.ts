import { type DeviceId, type DeviceView, parseProfileName, routes } from '#protocol'
import type { Device } from '#registry'
import { ServerError } from '../errors.js'
import { type App, at } from './app.js'
import { deviceTerms, parseQuery } from './query.js'
import {
  deviceList,
  deviceParams,
  deviceView,
  registerDeviceRequest,
  revokeAnswer,
  revokeRequest,
} from './schemas/devices.js'
import { actQuery, labels, listQuery } from './schemas/fields.js'
import type { Service } from './service.js'
import { succeeds } from './succeeds.js'
import { onlineDevices, viewDevice } from './views.js'

const tags = ['devices']
const defaultProfile = parseProfileName('default')

export function addDeviceRoutes(app: App, service: Service): void {
  const { registry, operators } = service

  app.route({
    ...at(routes.listDevices),
    schema: {
      tags,
      summary: 'Devices, all or those that a query matches',
      querystring: listQuery,
      response: { 200: deviceList },
    },
    handler: async (request) => {
      const online = onlineDevices(service.sessions())
      const mandate = operators.mandateOf(request)
      const theirs = registry.devices().filter(({ labels }) => mandate.includes(labels))
      const views = theirs.map((device) => viewDevice(device, registry, online.has(device.id)))
      return views.filter(parseQuery(request.query.q ?? '', deviceTerms))
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
      summary: 'Make a TPM known before its device arrives',
      body: registerDeviceRequest,
      response: { 201: deviceView },
    },
    handler: async (request, reply) => {
      const by = operators.of(request, request.body)
      const { id: device, profile = defaultProfile, labels = {}, ekHash } = request.body
      const mandate = operators.mandateOf(request)
      mandate.requireAll([labels])
      mandate.requireName(device)
      await registry.registerDevice({ device, profile, labels, anchor: { kind: 'ek', hash: ekHash } }, by)
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
      await registry.labelDevice(request.params.id, request.body, by)
      return view(request.params.id)
    },
  })

  app.route({
    ...at(routes.revokeDevice),
    schema: {
      tags,
      summary: 'End a device: its sessions before this answers, its certificates, its way back',
      params: deviceParams,
      body: revokeRequest,
      response: { 200: revokeAnswer },
    },
    handler: async (request) => {
      const by = operators.of(request, request.body)
      const device = request.params.id
      operators.mandateOf(request).requireDevice(device)
      // Acts first and is recorded second, so that a full disk cannot keep a device alive.
      const { recorded, epoch } = registry.revokeDevice(device, { reason: request.body.reason, ...by })
      const { sessions, purged } = registry.locks.progress(epoch)
      return { device, sessions, purged, recorded: await succeeds(recorded) }
    },
  })

  function view(id: DeviceId): DeviceView {
    return viewDevice(require(id), registry, onlineDevices(service.sessions()).has(id))
  }

  function require(id: DeviceId): Device {
    const device = registry.device(id)
    if (device === undefined) throw new ServerError('NOT_FOUND', `there is no device ${id}`)
    return device
  }
}
