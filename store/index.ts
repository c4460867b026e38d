export type { Changes, Store } from './store.js'
