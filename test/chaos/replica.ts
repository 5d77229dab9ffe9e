import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '@twinbox/messaging/testing';
import { root } from '@twinbox/tools';
import { type ReplicaName } from './schedule.js';

/** How long a service may take to end after SIGTERM (P8). */
const TERMINATION_MS = 10_000;

/** One replica of a service as it ships: a process with a port of its own that is started again and again. */
export class Replica {
  readonly url: string;
  private child: ChildProcess | undefined;
  private expectedToEnd = false;

  /** `complain` is told what no fault explains: that it ended by itself, or did not end as asked. */
  constructor(
    readonly name: ReplicaName,
    private readonly port: number,
    private readonly env: NodeJS.ProcessEnv,
    private readonly logFile: string,
    private readonly complain: (what: string) => void,
  ) {
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Returns when it listens. Nothing happens when it runs. */
  async start(): Promise<void> {
    if (this.child) return;
    const log = openSync(this.logFile, 'a');
    const main = join(root, 'apps', this.name.replace(/\/\d+$/, ''), 'dist/main.js');
    const child = spawn(process.execPath, [main], {
      // Its own environment only: the user's shell must not steer what is tested.
      env: { PATH: process.env['PATH'], PORT: String(this.port), LOG_FORMAT: 'json', ...this.env },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.child = child;
    this.expectedToEnd = false;
    child.once('exit', (code, signal) => {
      this.child = undefined;
      if (!this.expectedToEnd) this.complain(`${this.name} ended by itself (${signal ?? `exit status ${code}`})`);
    });
    await until(
      `${this.name} listens`,
      async () =>
        this.child !== child ||
        (await fetch(`${this.url}/health/live`, { signal: AbortSignal.timeout(2000) })).status === 200,
      60_000,
    );
  }

  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** SIGTERM. It has to end by itself with exit status 0, whatever else fails at the time. */
  async terminate(): Promise<void> {
    const { child } = this;
    if (!child) return;
    const insist = setTimeout(() => child.kill('SIGKILL'), TERMINATION_MS);
    await this.end('SIGTERM');
    clearTimeout(insist);
    if (child.exitCode !== 0)
      this.complain(
        `${this.name} did not obey SIGTERM: ` +
          (child.exitCode === null ? `killed after ${TERMINATION_MS} ms` : `exit status ${child.exitCode}`),
      );
  }

  pause(): void {
    this.child?.kill('SIGSTOP');
  }

  resume(): void {
    this.child?.kill('SIGCONT');
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const { child } = this;
    if (!child) return;
    this.expectedToEnd = true;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }
}
