export { createEkAuthority, type EkAuthority, type EkAuthorityOptions } from './ek-authority.js'
export { SimulatorError, type SimulatorErrorCode } from './errors.js'
export { openSoftwareTpm, type SoftwareTpmOptions } from './software-tpm.js'
export { type RunningSwtpm, startSwtpm, type SwtpmOptions } from './swtpm.js'
