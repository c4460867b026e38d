import { AuditError } from '#audit'
import { CodedError, type ExpectedDevice, parseProfileName, type RefusedDevice, routes } from '#protocol'
import type { NewDevice, Registry } from '#registry'
import { type App, at, bodyLimits } from './app.js'
import { importAnswer, importRequest } from './schemas/devices.js'
import type { Service } from './service.js'

const defaultProfile = parseProfileName('default')
/** So many records wait for the disk together; behind them, everybody else has a turn. */
const registeredTogether = 100

/** Many devices in one request, each with a record of its own; asked for again, they are no change. */
export function addImportRoutes(app: App, { registry, operators, audit }: Service): void {
  app.route({
    ...at(routes.importDevices),
    bodyLimit: bodyLimits.devices,
    schema: {
      tags: ['devices'],
      summary: 'Make many devices known before they arrive; where one cannot be, none is, unless that is asked for',
      body: importRequest,
      response: { 200: importAnswer },
    },
    handler: async (request) => {
      const { devices, dryRun = false, skipInvalid = false } = request.body
      const by = operators.of(request, request.body)
      const mandate = operators.mandateOf(request)
      const sets = devices.map(({ labels = {} }) => labels)
      mandate.requireAll(sets, devices.length)
      for (const { id } of devices) mandate.requireName(id)
      const { wanted, unchanged, refused } = planImport(devices, registry)
      const isToDo = !dryRun && (skipInvalid || refused.length === 0)
      for (let from = 0; isToDo && from < wanted.length; from += registeredTogether) {
        // What the log keeps in reserve is for one act at a time, and for those that shut somebody out above all.
        if (audit.full) throw new AuditError('AUDIT_FULL', 'the disk of the log has no room for that many devices')
        const some = wanted.slice(from, from + registeredTogether)
        await Promise.all(some.map((device) => registry.registerDevice(device, by)))
      }
      return { dryRun, registered: wanted.length, unchanged, refused }
    },
  })
}

interface ImportPlan {
  readonly wanted: readonly NewDevice[]
  readonly unchanged: number
  readonly refused: readonly RefusedDevice[]
}

function planImport(devices: readonly ExpectedDevice[], registry: Pick<Registry, 'planRegistration'>): ImportPlan {
  const wanted: NewDevice[] = []
  const refused: RefusedDevice[] = []
  const seen = new Set<string>()
  for (const [at, { id: device, profile = defaultProfile, labels = {}, anchor }] of devices.entries()) {
    const planned = { device, profile, labels, anchor }
    try {
      const state = registry.planRegistration(planned)
      const twice = firstTwice(planned, seen)
      if (twice !== undefined) refused.push({ at, ...twice })
      else if (state === 'new') wanted.push(planned)
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      refused.push({ at, field: fieldOf(error.code), code: error.code, problem: error.message })
    }
  }
  return { wanted, unchanged: devices.length - wanted.length - refused.length, refused }
}

/** Of two alike in one request the second is one too many, whatever the registry knows. */
function firstTwice({ device, anchor }: NewDevice, seen: Set<string>): Omit<RefusedDevice, 'at'> | undefined {
  const names = { id: `id ${device}`, anchor: `${anchor.kind} ${anchor.hash}` } as const
  const isIdTwice = seen.has(names.id)
  const isAnchorTwice = seen.has(names.anchor)
  for (const name of Object.values(names)) seen.add(name)
  if (isIdTwice) return { field: 'id', code: 'ID_TAKEN', problem: `device ${device} stands in this request twice` }
  if (isAnchorTwice)
    return { field: 'anchor', code: 'ANCHOR_TAKEN', problem: `this ${anchor.kind} stands in this request twice` }
  return undefined
}

function fieldOf(code: string): RefusedDevice['field'] {
  if (code === 'ANCHOR_TAKEN') return 'anchor'
  return code === 'LABEL_INVALID' ? 'labels' : 'id'
}
