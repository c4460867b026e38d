import type { Disk } from './disk.js'
import type { AgentStatus } from './status.js'

/** For whoever watches this machine and not its agent. */
export interface Health {
  readonly healthy: boolean
  /** Why it is not, in words. */
  readonly problems: readonly string[]
  readonly device: string
  readonly state: AgentStatus['state']
  /** ISO 8601. */
  readonly certificateNotAfter: string
  readonly updatedAt: string
}

/** Well is who is connected, with a certificate that lasts, and has passed it on. A renewal that waits is not unwell yet. */
export function healthOf(status: AgentStatus, now: number): Health {
  const { notAfter } = status.certificate
  const because = status.lastError === undefined ? '' : `: ${status.lastError.message}`
  const problems = [
    ...(status.state === 'connected' ? [] : [`it is not connected, but ${status.state}${because}`]),
    ...(Date.parse(notAfter) > now ? [] : [`its certificate ended at ${notAfter}`]),
    ...(status.problems ?? []),
  ]
  return {
    healthy: problems.length === 0,
    problems,
    device: status.deviceId,
    state: status.state,
    certificateNotAfter: notAfter,
    updatedAt: status.updatedAt,
  }
}

/** The text format of Prometheus, for the textfile collector of node_exporter, which takes only files that end in .prom. */
export function metricsOf(status: AgentStatus, now: number): string {
  const seconds = (time: string): number => Math.floor(Date.parse(time) / 1000)
  const gauges: readonly (readonly [name: string, help: string, value: number])[] = [
    ['connected', 'Whether the agent is connected to the broker.', status.state === 'connected' ? 1 : 0],
    [
      'healthy',
      'Whether it is connected, certified, and nothing is to be mended.',
      healthOf(status, now).healthy ? 1 : 0,
    ],
    ['certificate_not_before_seconds', 'Begin of the certificate in use.', seconds(status.certificate.notBefore)],
    ['certificate_not_after_seconds', 'End of the certificate in use.', seconds(status.certificate.notAfter)],
    [
      'renewal_next_seconds',
      'When the agent will ask for the next.',
      seconds(status.renewal.next ?? status.renewal.start),
    ],
    ['generation', 'Number of the certificate in use, counted on this device.', status.generation],
    ['problems', 'What other programs did not get of the certificate.', status.problems?.length ?? 0],
    ['updated_seconds', 'When the agent wrote this.', seconds(status.updatedAt)],
  ]
  return gauges
    .map(([name, help, value]) => {
      const metric = `touchmark_agent_${name}`
      return `# HELP ${metric} ${help}\n# TYPE ${metric} gauge\n${metric} ${value}\n`
    })
    .join('')
}

/** Where the settings want them; each replaced as a whole. */
export interface Watched {
  readonly healthFile?: string
  readonly metricsFile?: string
}

export async function writeHealth(
  { healthFile, metricsFile }: Watched,
  status: AgentStatus,
  disk: Disk,
): Promise<void> {
  const now = Date.parse(status.updatedAt)
  if (healthFile !== undefined) await disk.write(healthFile, `${JSON.stringify(healthOf(status, now))}\n`)
  if (metricsFile !== undefined) await disk.write(metricsFile, metricsOf(status, now))
}
