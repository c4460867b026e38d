import type { TopicName } from '#protocol'

/** Somebody who can say whether a device may publish to a topic, by rules that are filters of that device. */
export interface Engine {
  readonly name: string
  /** A filter is a rule of its own that allows; the last one may end with `#`, and none holds another wildcard. */
  readonly prepare: (filters: readonly string[]) => Promise<Ask> | Ask
}

export type Ask = (topic: TopicName) => boolean | Promise<boolean>

/** The device that asks; its rules come to these filters. */
export const asking = { device: 'd1', site: 'oslo' }

export const filterOf = (rule: number): string => `fleet/${asking.site}/${asking.device}/channel-${rule}/#`
