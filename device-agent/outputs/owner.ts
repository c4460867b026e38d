import { readFile } from 'node:fs/promises'
import { AgentError } from '../errors.js'
import type { Ownership } from './output.js'

/** As the disk knows them; undefined: as it comes. */
export interface OwnerIds {
  readonly uid: number | undefined
  readonly gid: number | undefined
}

/** Names by the machine's own files, because Node asks no other directory; numbers as they are. @throws AgentError OUTPUT_FAILED */
export async function idsOf({ owner, group }: Ownership): Promise<OwnerIds> {
  const user = owner === undefined ? undefined : await lookUp('/etc/passwd', owner)
  const named = group === undefined ? undefined : await lookUp('/etc/group', group)
  return { uid: user?.id, gid: named?.id ?? user?.next }
}

/** passwd(5) and group(5) both begin NAME:…:ID; a user's group is what follows. */
async function lookUp(file: string, who: string): Promise<{ readonly id: number; readonly next: number | undefined }> {
  const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n').map((line) => line.split(':'))
  const isNumber = /^\d{1,10}$/.test(who)
  const found = lines.find(([name, , id]) => (isNumber ? id === who : name === who))
  const [, , id = isNumber ? who : '', next = ''] = found ?? []
  if (!/^\d+$/.test(id)) throw new AgentError('OUTPUT_FAILED', `${file} knows no ${JSON.stringify(who)}`)
  return { id: Number(id), next: /^\d+$/.test(next) ? Number(next) : undefined }
}
