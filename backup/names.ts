/*
 * The members of a backup, in their order: what it is, the rows of the store, the files of the data folder, the audit log
 * as one checkpoint has it, and last of all the sums.
 */

export const manifestName = 'backup.json'
export const sumsName = 'SHA256SUMS'
/** Stands where a backup broke off, and says why. */
export const unfinishedName = 'UNFINISHED'

/** Files of the data folder that a backup holds, where they are there. What is missing here never goes into one. */
export const fileNames = [
  'ca/root.pem',
  'ca/root.key.pem',
  'ca/issuing.pem',
  'keys/audit.key',
  'keys/audit.previous.key',
  'keys/audit.vkeys',
  'touchmark.yaml',
  'policy.yaml',
] as const

/** Of the audit log, below the data folder. */
export const logPrefix = 'audit/log/'

/** Within `log/`: what C2SP tlog-tiles has there, and the two of ours. */
const logPaths = [
  /^checkpoint$/,
  /^minimum$/,
  /^witnessed\/[0-9a-f]{8}$/,
  /^tile\/(entries|[0-9]{1,2})\/(x[0-9]{3}\/){0,4}[0-9]{3}(\.p\/[0-9]{1,3})?$/,
]

/** Rows of the store, the next so many of them: `store/00000000.rows` */
export function rowsName(number: number): string {
  return `store/${String(number).padStart(8, '0')}.rows`
}

export function isRowsName(name: string): boolean {
  return /^store\/[0-9]{8}\.rows$/.test(name)
}

/** Whether a member may stand behind the first and before the last: no other name leads to a file at a restore. */
export function isContentName(name: string): boolean {
  return isRowsName(name) || isFileName(name) || isLogName(name)
}

function isFileName(name: string): boolean {
  return fileNames.some((known) => known === name)
}

export function isLogName(name: string): boolean {
  return name.startsWith(logPrefix) && logPaths.some((path) => path.test(name.slice(logPrefix.length)))
}
