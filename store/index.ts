export { StoreError, type StoreErrorCode } from './errors.js'
export { openLevelStore } from './level.js'
export { createMemoryStore } from './memory.js'
export type { Changes, Store } from './store.js'
