import type { Problem } from './api/problem.js'

/*
 * What is answered line by line (NDJSON) has its status long before its end. Where the rest cannot be given, the last
 * line says why: `{"problem":…}` with a problem document (RFC 9457). No record begins like this.
 */

const begin = '{"problem":'

export function encodeProblemLine(problem: Problem): string {
  return `${JSON.stringify({ problem })}\n`
}

export function isProblemLine(line: string): boolean {
  return line.startsWith(begin)
}
