import type { Measured } from '../parts.js'
import { percentile } from '../percentile.js'
import type { Let } from './stage.js'

export const rateColumns = ['per second', 'p50 ms', 'p99 ms', 'server ms each', 'server CPU %', 'load CPU %']

export function rowOf(row: string, { count, seconds, sorted, cpuSeconds, serverCpuSeconds }: Let): Measured {
  return {
    row,
    values: {
      'per second': count / seconds,
      'p50 ms': percentile(sorted, 0.5),
      'p99 ms': percentile(sorted, 0.99),
      'server ms each': (serverCpuSeconds * 1000) / count,
      'server CPU %': (serverCpuSeconds * 100) / seconds,
      'load CPU %': (cpuSeconds * 100) / seconds,
    },
  }
}
