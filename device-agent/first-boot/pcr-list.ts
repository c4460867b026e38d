import { AgentError } from '../errors.js'

/** `0,2,4,7`; an empty text is no PCR. @throws AgentError USAGE */
export function parsePcrs(list: string): readonly number[] {
  if (list === '') return []
  return list.split(',').map((item) => {
    const index = Number(item)
    if (!/^\d{1,2}$/.test(item.trim()) || index > 23) {
      throw new AgentError(
        'USAGE',
        `--pcrs: expected numbers from 0 to 23 with commas between, got ${JSON.stringify(item)}`,
      )
    }
    return index
  })
}
