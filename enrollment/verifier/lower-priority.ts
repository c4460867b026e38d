import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'

/**
 * Lets the calling thread wait behind the process's others. Under Linux each thread has a niceness of its own (setpriority(2),
 * "C library/kernel differences"); elsewhere it would be the whole process's, and all stays as it is.
 */
export function lowerPriority(niceness: number): void {
  try {
    const [, , thread] = readlinkSync('/proc/thread-self').split('/') // <process>/task/<thread>
    if (thread !== undefined) setPriority(Number(thread), niceness)
  } catch {
    // No such file, or nobody lets us: then it is as urgent as the rest.
  }
}
