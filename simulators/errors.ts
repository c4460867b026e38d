import { CodedError } from '#protocol'

export type SimulatorErrorCode =
  | 'PROGRAM_FAILED' //  a program that the simulation stands on is absent, failed, or did not get ready
  | 'STATE_INVALID' //   a state folder holds what this simulator has not written

export class SimulatorError extends CodedError<SimulatorErrorCode> {}
