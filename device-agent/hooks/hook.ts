import { type Decoder, integer, list, object, optional, ProtocolError, text, word } from '#protocol'

/** What is to happen on this device when another certificate is in use. */
export type Hook =
  | { readonly kind: 'run'; readonly command: Command; readonly timeoutSeconds: number }
  | { readonly kind: 'signal'; readonly signal: HookSignal; readonly pidFile: string }

/** A program and its arguments, as it is started: there is no shell, and nothing to quote. */
export type Command = readonly [program: string, ...args: string[]]

export type HookSignal = 'SIGHUP' | 'SIGUSR1' | 'SIGUSR2' | 'SIGTERM'

const usualTimeoutSeconds = 30

/** `{ "run": ["systemctl", "reload", "mosquitto"], "timeoutSeconds"?: 30 }` or `{ "signal": "SIGHUP", "pidFile": "/run/…" }` */
export const decodeHook: Decoder<Hook> = (value, path) => {
  const { run, timeoutSeconds = usualTimeoutSeconds, signal, pidFile } = fields(value, path)
  const [program, ...args] = run ?? []
  if (program && signal === undefined && pidFile === undefined) {
    return { kind: 'run', command: [program, ...args], timeoutSeconds }
  }
  if (run === undefined && signal !== undefined && pidFile !== undefined) return { kind: 'signal', signal, pidFile }
  throw new ProtocolError('INVALID_MESSAGE', `${path}: expected either "run" or "signal" with "pidFile"`)
}

const fields = object({
  run: optional(list(text(4096), 64)),
  timeoutSeconds: optional(integer(1, 3600)),
  signal: optional(word('SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGTERM')),
  pidFile: optional(text(4096)),
})

/** As people say it. */
export function nameOf(hook: Hook): string {
  return hook.kind === 'run' ? hook.command.join(' ').slice(0, 200) : `${hook.signal} to ${hook.pidFile}`
}
