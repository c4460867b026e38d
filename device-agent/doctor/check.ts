import { CodedError } from '#protocol'

/** One line of `doctor`. */
export interface Check {
  readonly name: string
  /** `warn`: it works, though not as well or as safely as it could. `fail`: something will not work. */
  readonly result: 'ok' | 'warn' | 'fail'
  readonly says: string
}

/** What a check finds, by a name of its own; whatever it throws under a code of ours is what is wrong. */
export async function checking(name: string, look: () => Promise<Omit<Check, 'name'>>): Promise<Check> {
  try {
    return { name, ...(await look()) }
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    return { name, result: 'fail', says: `${error.message} [${error.code}]` }
  }
}

export const ok = (says: string) => ({ result: 'ok', says }) as const
export const warn = (says: string) => ({ result: 'warn', says }) as const
export const fail = (says: string) => ({ result: 'fail', says }) as const
