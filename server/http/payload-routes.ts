import { parseDay } from '#audit'
import { encodeHex, type OperatorFacts, routes } from '#protocol'
import { ServerError } from '../errors.js'
import type { Mandate } from './mandate.js'
import { type App, at } from './app.js'
import { erasePayloadsAnswer, erasePayloadsRequest, payloadDisclosure, recordParams } from './schemas/audit.js'
import { actQuery } from './schemas/fields.js'
import type { Service } from './service.js'
import { isoTime } from './views.js'

const tags = ['audit']

/** What messages said, and how to prove it or to make that impossible. Who looks stands in the log before anything is shown. */
export function addPayloadRoutes(app: App, service: Service): void {
  const { audit, operators, payloads } = service

  app.route({
    ...at(routes.getPayload),
    schema: {
      tags,
      summary: 'The payload of a message, where it is stored, by the sequence number of its message.publish record',
      params: recordParams,
      querystring: actQuery,
      produces: ['application/octet-stream'],
    },
    handler: async (request, reply) => {
      await requireRecord(operators.mandateOf(request), request.params.id)
      await recordRead(operators.of(request, request.query), `payload ${request.params.id}`)
      const payload = await payloads.read(Number(request.params.id))
      return reply.type('application/octet-stream').send(payload)
    },
  })

  app.route({
    ...at(routes.disclosePayload),
    schema: {
      tags,
      summary: 'What lets a third party check a payload against its record; it says nothing of any other record',
      params: recordParams,
      querystring: actQuery,
      response: { 200: payloadDisclosure },
    },
    handler: async (request) => {
      await requireRecord(operators.mandateOf(request), request.params.id)
      await recordRead(operators.of(request, request.query), `payload ${request.params.id} disclose`)
      const { record, blinding } = await payloads.disclose(Number(request.params.id))
      const { sequence, time, device, topic, size, payloadCommitment } = record
      const bytes = { payloadCommitment: encodeHex(payloadCommitment), r: encodeHex(blinding) }
      return { sequence, time: isoTime(time), device, topic, size, ...bytes }
    },
  })

  app.route({
    ...at(routes.erasePayloads),
    schema: {
      tags,
      summary:
        'Destroy the keys of the payloads of a day, of one device or of all: nobody can read or prove them again',
      body: erasePayloadsRequest,
      response: { 200: erasePayloadsAnswer },
    },
    handler: async (request) => {
      const { day, device } = request.body
      const mandate = operators.mandateOf(request)
      if (device === undefined) mandate.requireEveryDevice()
      else mandate.requireDevice(device)
      const number = parseDay(day)
      if (number === undefined)
        throw new ServerError('REQUEST_INVALID', `expected a day such as 2026-11-23, got ${day}`)
      const what = { day, ...(device !== undefined && { device }) }
      const by = operators.of(request, request.body)
      // On disk before it acts: a key that is gone must never look like damage.
      await audit.whenDurable(audit.append({ event: 'payload.erase', ...what, ...by, comment: request.body.comment }))
      return { ...what, keys: await service.erasePayloadKeys({ day: number, device }) }
    },
  })

  async function requireRecord(mandate: Mandate, sequence: string): Promise<void> {
    if (!mandate.isOnEveryDevice) mandate.requireRecord(await service.recordAt(Number(sequence)))
  }

  /** Each by itself and never counted together with others: who has seen which payload must be known. */
  async function recordRead(by: OperatorFacts, query: string): Promise<void> {
    await audit.whenDurable(audit.append({ event: 'audit.read', query, ...by }))
  }
}
