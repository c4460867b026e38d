import type { DeviceId } from '#protocol'

/**
 * Programs may write `~/x` for `devices/ID/x`, so that one and the same program runs on every device, and hear it that
 * way as well. All other topics are as they are at the service.
 */
export class Home {
  readonly #prefix: string

  constructor(deviceId: DeviceId | string) {
    this.#prefix = `devices/${deviceId}/`
  }

  /** A program's topic name or filter as the service knows it. */
  toService(topic: string): string {
    return isAtHome(topic) ? this.#prefix + topic.slice(short.length) : topic
  }

  /** A topic of the service as a program hears it that has subscribed to `filter`. */
  toProgram(topic: string, filter: string): string {
    return isAtHome(filter) && topic.startsWith(this.#prefix) ? short + topic.slice(this.#prefix.length) : topic
  }
}

const short = '~/'

function isAtHome(topic: string): boolean {
  return topic.startsWith(short)
}
