import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '@twinbox/messaging/testing';
import { freePort } from '@twinbox/tools';
import { stringify } from 'yaml';
import { PROMETHEUS } from './prometheus.js';

/** One series of the result of a query. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [time: number, value: string];
}

/** A Prometheus that scrapes services every second, with the recording rules. */
export interface PrometheusServer {
  /** @throws if Prometheus refuses the query */
  query(expr: string): Promise<readonly Series[]>;
  stop(): Promise<void>;
}

/** Starts a Prometheus. `targets` are the addresses (`host:port`) to scrape, by the name of the job. */
export async function startPrometheus(targets: Readonly<Record<string, string>>): Promise<PrometheusServer> {
  const directory = await mkdtemp(join(tmpdir(), 'prometheus-'));
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [join(PROMETHEUS, 'recording.yml'), join(PROMETHEUS, 'alerts.yml')],
    scrape_configs: Object.entries(targets).map(([job_name, target]) => ({
      job_name,
      static_configs: [{ targets: [target] }],
    })),
  };
  await writeFile(join(directory, 'prometheus.yml'), stringify(config));
  const port = await freePort();
  const args = [
    `--config.file=${join(directory, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(directory, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  const server = spawn('prometheus', args, { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  await until('Prometheus is ready', async () => (await fetch(`${url}/-/ready`).catch(() => undefined))?.ok);
  return {
    async query(expr) {
      const answer = await fetch(`${url}/api/v1/query`, { method: 'POST', body: new URLSearchParams({ query: expr }) });
      const body = (await answer.json()) as { data?: { result: Series[] }; error?: string };
      if (!body.data) throw new Error(`${expr}: ${body.error}`);
      return body.data.result;
    },
    async stop() {
      server.kill('SIGKILL');
      if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
      await rm(directory, { recursive: true, force: true });
    },
  };
}
