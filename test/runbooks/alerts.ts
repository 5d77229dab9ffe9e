import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { PROMETHEUS } from '../support/prometheus.js';

const RULES = ['alerts.yml', 'recording.yml'].map((name) => join(PROMETHEUS, name));
/** What the rules name. Other metrics would only cost time. */
const NAMED = new Set(RULES.flatMap((path) => readFileSync(path, 'utf8').match(/\w+/g) ?? []));

/** A process whose metrics Prometheus reads. */
export interface Target {
  readonly job: string;
  readonly url: string;
}

/** A sample of a scrape: its name with its labels, and its value. */
type Scrape = ReadonlyMap<string, number>;

/** How long a state lasts in {@link Alerts.firing}, and how often Prometheus evaluates the rules meanwhile. */
interface Lasting {
  readonly minutes: number;
  readonly everyMinutes: number;
}

/** Longer than any alert waits but the one for pauses. */
const LASTING: Lasting = { minutes: 20, everyMinutes: 1 };

/** The alerting rules, evaluated by Prometheus on the metrics of running processes. */
export class Alerts {
  /** All that have fired so far. */
  readonly seen = new Set<string>();

  constructor(private readonly targets: () => readonly Target[]) {}

  /**
   * Returns the names of the alerts that would fire if the present state lasted: gauges keep their values, and counters continue to rise
   * as they do while `during` runs.
   */
  async firing(during: () => Promise<unknown> = () => Promise.resolve(), lasting = LASTING): Promise<string[]> {
    const before = await this.scrape();
    await during();
    const after = await this.scrape();
    const series = [...after].map(([name, value]) => {
      const rise = isCounter(name) ? Math.max(0, value - (before.get(name) ?? value)) : 0;
      return { series: name, values: `${value}+${rise}x${lasting.minutes / lasting.everyMinutes}` };
    });
    const names = [...new Set(await evaluate(series, lasting))].toSorted();
    for (const name of names) this.seen.add(name);
    return names;
  }

  /** Returns the sum of a metric over all its labels and processes. */
  async total(name: string): Promise<number> {
    const samples = [...(await this.scrape())].filter(([series]) => series.startsWith(`${name}{`));
    return samples.reduce((sum, [, value]) => sum + value, 0);
  }

  private async scrape(): Promise<Scrape> {
    return new Map((await Promise.all(this.targets().map(scrapeOf))).flat());
  }
}

/** The names of counters and gauges tell them apart. */
const isCounter = (series: string) => /^\w+(_total|_count|_sum|_bucket)\{/.test(series);

async function scrapeOf({ job, url }: Target): Promise<[string, number][]> {
  const target = `job="${job}",instance="${new URL(url).host}"`;
  const response = await fetch(new URL('/metrics', url), { signal: AbortSignal.timeout(10_000) }).catch(
    () => undefined,
  );
  if (!response?.ok) return [[`up{${target}}`, 0]];
  const samples = (await response.text()).split('\n').flatMap((line): [string, number][] => {
    const [, name, labels, value] = /^(\w+)(?:\{(.*)\})? (-?[\d.e+-]+)$/.exec(line) ?? [];
    return name === undefined || !NAMED.has(name)
      ? []
      : [[`${name}{${labels === undefined ? '' : `${labels},`}${target}}`, Number(value)]];
  });
  return [[`up{${target}}`, 1], ...samples];
}

async function evaluate(series: readonly object[], { minutes, everyMinutes }: Lasting): Promise<string[]> {
  const directory = await mkdtemp(join(tmpdir(), 'twinbox-alerts-'));
  const file = join(directory, 'test.yml');
  const test = {
    rule_files: RULES,
    evaluation_interval: `${everyMinutes}m`,
    tests: [
      {
        interval: `${everyMinutes}m`,
        input_series: series,
        // promtool prints what it found when nothing is expected.
        promql_expr_test: [{ expr: 'ALERTS{alertstate="firing"}', eval_time: `${minutes}m`, exp_samples: [] }],
      },
    ],
  };
  await writeFile(file, stringify(test));
  try {
    await promisify(execFile)('promtool', ['test', 'rules', file]);
    return [];
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    const got = /^\s*got:(.*)$/m.exec(stdout + stderr)?.[1];
    if (got === undefined) throw new Error(`promtool failed:\n${stdout}${stderr}`, { cause: error });
    return [...got.matchAll(/alertname=\\?"(\w+)/g)].map(([, name]) => name ?? '');
  } finally {
    await rm(directory, { recursive: true });
  }
}
