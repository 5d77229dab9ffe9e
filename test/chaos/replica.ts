import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '@twinbox/messaging/testing';
import { root } from '@twinbox/tools';
import { type ProcessName, serviceOf } from './schedule.js';

/** So long after SIGTERM a process is killed. Longer than it may take, so that how long it takes is seen. */
const INSIST_AFTER_MS = 20_000;

/** How a process ended on SIGTERM. */
export interface Stop {
  readonly name: ProcessName;
  /** Its exit status, or the signal that ended it. */
  readonly exit: number | NodeJS.Signals | null;
  readonly tookMs: number;
}

/** One replica of a service, or of its relay, as it ships: a process with a port of its own that is started again and again. */
export class Replica {
  readonly url: string;
  private child: ChildProcess | undefined;
  private expectedToEnd = false;

  /** Every SIGTERM so far. */
  readonly stops: Stop[] = [];

  /** `complain` is told what no fault explains: that it ended by itself. */
  constructor(
    readonly name: ProcessName,
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
    writeSync(log, `${JSON.stringify({ time: new Date(), chaos: `${this.name} starts` })}\n`);
    const child = spawn(process.execPath, programOf(this.name), {
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

  /** SIGTERM. It has to end by itself, whatever else fails at the time; `stops` tells whether it did. */
  async terminate(): Promise<void> {
    const { child } = this;
    if (!child) return;
    const askedAt = performance.now();
    const insist = setTimeout(() => child.kill('SIGKILL'), INSIST_AFTER_MS);
    await this.end('SIGTERM');
    clearTimeout(insist);
    this.stops.push({
      name: this.name,
      exit: child.signalCode ?? child.exitCode,
      tookMs: performance.now() - askedAt,
    });
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

/** What `npm start` and `npm run relay` run. */
function programOf(name: ProcessName): string[] {
  const service = serviceOf(name);
  if (service === undefined) throw new Error(`${name} is no process of a service`);
  return name.includes(' relay/')
    ? [join(root, 'tools/dist/relay.js'), service]
    : [join(root, 'apps', service, 'dist/main.js')];
}
