import { Counter, Gauge, Histogram, Registry } from 'prom-client'

export type Labels = Readonly<Record<string, string>>

/** One number, or one for each set of labels. */
export type Samples = number | Iterable<readonly [labels: Labels, value: number]>

/**
 * Metrics in the text format of Prometheus, all named `touchmark_…`. Those that are read keep nothing: the numbers
 * belong to the rooms, and are asked for at every scrape.
 */
export class Exposition {
  readonly #registry = new Registry()

  /** A value that goes both ways. */
  gauge(name: string, help: string, read: () => Samples, labelNames: readonly string[] = []): void {
    new Gauge({
      ...this.#named(name, help, labelNames),
      collect() {
        this.reset()
        tell(read(), (labels, value) => this.set(labels, value))
      },
    })
  }

  /** A number that only grows; its name ends in `_total`. */
  counter(name: `${string}_total`, help: string, read: () => Samples, labelNames: readonly string[] = []): void {
    new Counter({
      ...this.#named(name, help, labelNames),
      collect() {
        this.reset()
        tell(read(), (labels, value) => this.inc(labels, value))
      },
    })
  }

  /** Returns the way to add a value to it. */
  histogram(
    name: string,
    help: string,
    buckets: readonly number[],
    labelNames: readonly string[],
  ): (labels: Labels, value: number) => void {
    const histogram = new Histogram({ ...this.#named(name, help, labelNames), buckets: [...buckets] })
    return (labels, value) => histogram.observe(labels, value)
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }

  #named(name: string, help: string, labelNames: readonly string[]) {
    return { name: `touchmark_${name}`, help, labelNames, registers: [this.#registry] }
  }
}

function tell(samples: Samples, sample: (labels: Labels, value: number) => void): void {
  if (typeof samples === 'number') sample({}, samples)
  else for (const [labels, value] of samples) sample(labels, value)
}
