import { runWith } from '../arguments.js'
import { type Part, runParts } from '../parts.js'
import { applyColumns, measureApply } from './applying.js'
import { containmentColumns, measureContainment } from './containment.js'
import { decisionColumns, measureDecisions } from './decisions.js'
import { commandLine, type Options } from './options.js'
import { measureRendering, renderingColumns } from './rendering.js'
import { measureRevoke, revokeColumns } from './revoking.js'

const parts: readonly Part<Options>[] = [
  {
    name: 'decisions',
    title: 'Decisions a second, one core',
    columns: decisionColumns,
    measure: measureDecisions,
  },
  {
    name: 'containment',
    title: 'Containment of a filter in what is allowed, exact',
    columns: containmentColumns,
    measure: measureContainment,
  },
  {
    name: 'rendering',
    title: 'A policy for a whole fleet',
    columns: renderingColumns,
    measure: measureRendering,
  },
  {
    name: 'apply',
    title: 'From policy apply until every live session was held to it, and two neighbours meanwhile',
    columns: applyColumns,
    measure: measureApply,
  },
  {
    name: 'revoke',
    title: 'From a revocation until it is answered, and until the socket is closed',
    columns: revokeColumns,
    measure: measureRevoke,
  },
]

process.exitCode = await runWith(commandLine(parts), (options) => {
  const { seconds, devices, sessions, connected } = options
  return runParts(parts, options, { seconds, devices, sessions, connected })
})
