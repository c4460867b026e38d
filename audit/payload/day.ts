const dayMilliseconds = 86_400_000

/** Days since 1970, in UTC: whose keys a record goes by. A clock that says a time before that is on the first day. */
export function dayOf(time: number): number {
  return Math.min(Math.max(Math.floor(time / dayMilliseconds), 0), lastDay)
}

/** 9999-12-31: dates have four digits for the year. */
const lastDay = 2_932_896

/** As `2026-11-23`. */
export function formatDay(day: number): string {
  return new Date(day * dayMilliseconds).toISOString().slice(0, 10)
}

/** @returns undefined for what is no day of the calendar, or before 1970 */
export function parseDay(text: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return undefined
  const day = dayOf(Date.parse(`${text}T00:00:00.000Z`))
  return Number.isInteger(day) && formatDay(day) === text ? day : undefined
}
