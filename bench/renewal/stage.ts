import { type Live, livePolicy, openLive } from '../policy/live.js'
import { cpuSecondsOf, Worker } from '../processes.js'
import type { Done, Order, Setting } from './herd.js'

/** What it took whoever serves them. */
export interface Served extends Done {
  readonly serverCpuSeconds: number
}

/** A service, two neighbours on its broker, and a herd of devices. */
export interface Stage {
  readonly live: Live
  tell(order: Order): Promise<Served>
  end(): Promise<void>
}

export async function openStage(folder: string, devices: number): Promise<Stage> {
  const live = await openLive(folder, 0, livePolicy(100, 'granted'))
  const { service } = live
  const token = await service.tokenFor({ labels: { kind: 'device' }, uses: devices })
  const setting: Setting = {
    door: { port: service.httpsPort, ca: service.ca },
    mqttPort: service.mqttPort,
    token,
  }
  const herd = new Worker<Done>(new URL('./herd.js', import.meta.url), [JSON.stringify(setting)])
  return {
    live,
    async tell(order) {
      const before = cpuSecondsOf(service.pid)
      const done = await herd.ask(order)
      return { ...done, serverCpuSeconds: cpuSecondsOf(service.pid) - before }
    },
    async end() {
      herd.child.kill()
      await herd.exited
      await live.end()
    },
  }
}
