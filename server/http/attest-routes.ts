import { routes } from '#protocol'
import { ServerError } from '../errors.js'
import { viewAttestation } from '../attestation-view.js'
import { viewMakers } from '../tpm-makers.js'
import { type App, at, bodyLimits } from './app.js'
import {
  applyPcrPolicyAnswer,
  applyPcrPolicyQuery,
  attestationView,
  learnPcrsAnswer,
  learnPcrsRequest,
  pcrPolicyList,
  pcrPolicyParams,
  pcrPolicySource,
  pcrPolicySourceView,
  tpmMakerList,
} from './schemas/attest.js'
import { deviceParams } from './schemas/devices.js'
import { actQuery } from './schemas/fields.js'
import type { Service } from './service.js'

const tags = ['attestation']

/** What devices have proven of themselves, and what they are held to. */
export function addAttestRoutes(app: App, { attesting, operators, registry }: Service): void {
  const { policies, eventLogs } = attesting

  app.route({
    ...at(routes.listTpmMakers),
    schema: { tags, summary: 'Every manufacturer whose TPMs are trusted', response: { 200: tpmMakerList } },
    handler: async () => viewMakers(attesting.makers),
  })

  app.route({
    ...at(routes.listPcrPolicies),
    schema: { tags, summary: 'Every PCR policy that holds', response: { 200: pcrPolicyList } },
    handler: async () => policies.all.map(({ source: _, ...view }) => view),
  })

  app.route({
    ...at(routes.getPcrPolicy),
    schema: {
      tags,
      summary: 'One PCR policy, as it was written',
      params: pcrPolicyParams,
      response: { 200: pcrPolicySourceView },
    },
    handler: async (request) => policies.require(request.params.id),
  })

  app.route({
    ...at(routes.applyPcrPolicy),
    bodyLimit: bodyLimits.pcrPolicy,
    schema: {
      tags,
      summary: 'Put a PCR policy in force, under the name that it says; the body is its YAML',
      consumes: ['application/yaml'],
      querystring: applyPcrPolicyQuery,
      body: pcrPolicySource,
      response: { 200: applyPcrPolicyAnswer },
    },
    handler: async (request) => {
      const by = operators.of(request, request.query)
      return attesting.apply(request.body, { by, dryRun: request.query.dryRun === 'true' })
    },
  })

  app.route({
    ...at(routes.removePcrPolicy),
    schema: {
      tags,
      summary: 'Judge nobody by a PCR policy any more',
      params: pcrPolicyParams,
      querystring: actQuery,
      response: { 200: pcrPolicySourceView },
    },
    handler: async (request) => policies.remove(request.params.id, operators.of(request, request.query)),
  })

  app.route({
    ...at(routes.learnPcrs),
    schema: {
      tags,
      summary: 'Take what a device has quoted last for good, by a PCR policy',
      body: learnPcrsRequest,
      response: { 200: learnPcrsAnswer },
    },
    handler: async (request) => attesting.learn(request.body, operators.of(request, request.body)),
  })

  app.route({
    ...at(routes.getAttestation),
    schema: {
      tags,
      summary: 'What a device has proven: its TPM, its PCRs, what was made of them, and its event log in words',
      params: deviceParams,
      response: { 200: attestationView },
    },
    handler: async (request) => {
      const { id } = request.params
      operators.mandateOf(request).requireDevice(id)
      const device = registry.device(id)
      if (device === undefined) throw new ServerError('NOT_FOUND', `there is no device ${id}`)
      return viewAttestation(device, registry, await eventLogs.of(id))
    },
  })
}
