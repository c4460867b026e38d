import { join } from 'node:path'
import { freePort } from './free-port.js'
import { mustRun, type Outcome, type ProgramName, run, RunningProgram } from './programs.js'

/** The line that `touchmark up -o json` prints once it listens; what of it we need. */
interface Ready {
  readonly ports: { readonly https: number; readonly mqtt: number; readonly websocket: number; readonly health: number }
  readonly joinUri: string
}

export interface ServiceOptions {
  readonly ekRootFiles?: readonly string[]
}

/** A service with its operator and its devices, all of it real programs on loopback and files below one folder. */
export class Stage {
  readonly folder: string
  readonly #running: { stop: () => Promise<unknown> }[] = []
  /** Chosen once, so that a second run is found where the first one was. */
  #ports: Ready['ports'] | undefined
  #ready: Ready | undefined

  constructor(folder: string) {
    this.folder = folder
  }

  /** `touchmark up`; a second time finds the same folder, and its ports, again. */
  async openService(options: ServiceOptions = {}): Promise<RunningProgram> {
    this.#ports ??= {
      ...{ https: await freePort(), mqtt: await freePort() },
      ...{ websocket: await freePort(), health: await freePort() },
    }
    const service = this.startService(options)
    this.#ready = JSON.parse(await service.line((line) => line.includes('"event":"ready"'))) as Ready
    return service
  }

  /** The same without waiting for it; where it was open before, or on any free ports. */
  startService({ ekRootFiles = [] }: ServiceOptions = {}): RunningProgram {
    const { https, mqtt, websocket, health } = this.#ports ?? { https: 0, mqtt: 0, websocket: 0, health: 0 }
    const listen = [
      '--host',
      '127.0.0.1',
      '--https-port',
      `${https}`,
      '--mqtt-port',
      `${mqtt}`,
      '--websocket-port',
      `${websocket}`,
      '--health-port',
      `${health}`,
    ]
    const roots = ekRootFiles.flatMap((file) => ['--ek-root', file])
    const service = new RunningProgram('touchmark', [
      'up',
      '--data',
      this.serverData,
      ...listen,
      ...roots,
      '-o',
      'json',
    ])
    this.track(service)
    return service
  }

  /** What a device needs to find the service and to know it. */
  get joinUri(): string {
    return this.#service().joinUri
  }

  get ports(): Ready['ports'] {
    return this.#service().ports
  }

  get serverData(): string {
    return join(this.folder, 'server')
  }

  /** Where a device's agent keeps its identity. */
  deviceData(name: string): string {
    return join(this.folder, 'devices', name)
  }

  /** An operator's command that must succeed. */
  operator(...args: readonly string[]): Promise<string> {
    return mustRun('touchmark', args, this.#operatorEnvironment())
  }

  /** An operator's command, whatever comes of it. */
  tryOperator(...args: readonly string[]): Promise<Outcome> {
    return run('touchmark', args, this.#operatorEnvironment())
  }

  /** The same as JSON. */
  async ask<Answer>(...args: readonly string[]): Promise<Answer> {
    return JSON.parse(await this.operator('-o', 'json', ...args)) as Answer
  }

  device(name: string, agent: ProgramName = 'touchmark-agent'): StageDevice {
    return new StageDevice(agent, this.deviceData(name), (program) => this.track(program))
  }

  /** Ended with the stage, the last one first. */
  track(program: { stop: () => Promise<unknown> }): void {
    this.#running.push(program)
  }

  lookAround(): readonly string[] {
    return [
      `export TOUCHMARK_HOME=${this.serverData}`,
      'npx touchmark devices ls',
      'npx touchmark audit tail -f',
      `npx touchmark-agent status --data ${this.deviceData('gateway-1')}`,
    ]
  }

  async clear(): Promise<void> {
    for (const program of this.#running.splice(0).reverse()) await program.stop()
  }

  #service(): Ready {
    if (this.#ready === undefined) throw new Error('the service has not been started')
    return this.#ready
  }

  #operatorEnvironment(): Readonly<Record<string, string>> {
    return { TOUCHMARK_HOME: this.serverData }
  }
}

/** One device's agent. */
export class StageDevice {
  readonly data: string
  readonly #agent: ProgramName
  readonly #track: (program: RunningProgram) => void

  constructor(agent: ProgramName, data: string, track: (program: RunningProgram) => void) {
    this.#agent = agent
    this.data = data
    this.#track = track
  }

  does(command: string, ...args: readonly string[]): Promise<string> {
    return mustRun(this.#agent, [command, ...args], this.#environment())
  }

  tries(command: string, ...args: readonly string[]): Promise<Outcome> {
    return run(this.#agent, [command, ...args], this.#environment())
  }

  starts(command: string, ...args: readonly string[]): RunningProgram {
    const program = new RunningProgram(this.#agent, [command, ...args], this.#environment())
    this.#track(program)
    return program
  }

  #environment(): Readonly<Record<string, string>> {
    return { TOUCHMARK_AGENT_DATA: this.data }
  }
}
