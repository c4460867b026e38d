/** What Part 3's tables say of a command, as far as its outer form goes. */
export interface CommandFacts {
  /** TPM_CC (Part 2 §6.5). */
  readonly code: number
  /** Whether the first parameter of the command is a TPM2B: then a session may carry it encrypted (Part 1 §21). */
  readonly hidesCommand: boolean
  /** The same for the first parameter of the response. */
  readonly hidesResponse: boolean
}

/** The commands that are spoken here. */
export const commandTable = {
  CreatePrimary: { code: 0x131, hidesCommand: true, hidesResponse: true },
  ActivateCredential: { code: 0x147, hidesCommand: true, hidesResponse: true },
  Certify: { code: 0x148, hidesCommand: true, hidesResponse: true },
  NV_Read: { code: 0x14e, hidesCommand: false, hidesResponse: true },
  PolicySecret: { code: 0x151, hidesCommand: true, hidesResponse: true },
  Create: { code: 0x153, hidesCommand: true, hidesResponse: true },
  Load: { code: 0x157, hidesCommand: true, hidesResponse: true },
  Quote: { code: 0x158, hidesCommand: true, hidesResponse: true },
  Sign: { code: 0x15d, hidesCommand: true, hidesResponse: false },
  ContextLoad: { code: 0x161, hidesCommand: false, hidesResponse: false },
  ContextSave: { code: 0x162, hidesCommand: false, hidesResponse: false },
  FlushContext: { code: 0x165, hidesCommand: false, hidesResponse: false },
  NV_ReadPublic: { code: 0x169, hidesCommand: false, hidesResponse: true },
  ReadPublic: { code: 0x173, hidesCommand: false, hidesResponse: true },
  StartAuthSession: { code: 0x176, hidesCommand: true, hidesResponse: true },
  GetCapability: { code: 0x17a, hidesCommand: false, hidesResponse: false },
  GetTestResult: { code: 0x17c, hidesCommand: false, hidesResponse: true },
  PCR_Read: { code: 0x17e, hidesCommand: false, hidesResponse: false },
} as const satisfies Readonly<Record<string, CommandFacts>>

export type CommandName = keyof typeof commandTable
