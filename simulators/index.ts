export { SimulatorError, type SimulatorErrorCode } from './errors.js'
export { type RunningSwtpm, startSwtpm, type SwtpmOptions } from './swtpm.js'
