import type { Engine } from './engine.js'

/** What one writes first: cut both at the slashes, and compare level by level. Names no rule and knows no constraint. */
export const splitAndCompare: Engine = {
  name: 'split and compare',
  prepare: (filters) => (topic) => filters.some((filter) => matches(filter, topic)),
}

export function matches(filter: string, topic: string): boolean {
  const [filterLevels, topicLevels] = [filter.split('/'), topic.split('/')]
  for (const [at, level] of filterLevels.entries()) {
    if (level === '#') return true
    if (level !== '+' && level !== topicLevels[at]) return false
  }
  return filterLevels.length === topicLevels.length
}
