/** A terminal that is written over in place. */
export interface Terminal {
  write(text: string): unknown
  /** Height in lines. */
  readonly rows?: number
}

const escape = {
  // the alternate screen, no cursor, no wrapping of long lines
  open: '\x1b[?1049h\x1b[?25l\x1b[?7l',
  close: '\x1b[?7h\x1b[?25h\x1b[?1049l',
  home: '\x1b[H',
  clearLine: '\x1b[K',
  clearBelow: '\x1b[J',
} as const

/** Takes the whole terminal, and gives it back as it was. */
export class Screen {
  readonly #terminal: Terminal

  constructor(terminal: Terminal) {
    this.#terminal = terminal
    terminal.write(escape.open)
  }

  /** As much of the lines as there is room for, and the foot below them. */
  show(lines: readonly string[], foot: string): void {
    const room = Math.max((this.#terminal.rows ?? 24) - 2, 2)
    const hidden = lines.length > room ? lines.length - room + 1 : 0
    const shown = hidden > 0 ? [...lines.slice(0, room - 1), `… and ${hidden} more`] : lines
    const text = [...shown, '', foot].map((line) => line + escape.clearLine).join('\r\n')
    this.#terminal.write(escape.home + text + escape.clearBelow)
  }

  close(): void {
    this.#terminal.write(escape.close)
  }
}
