import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '@twinbox/messaging/testing';
import { root } from '@twinbox/tools';
import { type ProcessName, serviceOf } from '../faults/schedule.js';

/** How long after SIGTERM a process is killed. Longer than a stop may take, so that the actual time is measured. */
const KILL_AFTER_MS = 20_000;

/** How a process has stopped on SIGTERM. */
export interface Stop {
  readonly name: ProcessName;
  /** Its exit status, or the signal that ended it. */
  readonly exit: number | NodeJS.Signals | null;
  readonly tookMs: number;
}

/** One replica of a service or of its relay, as shipped: a process with a fixed port that can be restarted repeatedly. */
export class Replica {
  readonly url: string;
  private child: ChildProcess | undefined;
  private exitExpected = false;

  /** All stops by SIGTERM so far. */
  readonly stops: Stop[] = [];

  /** @param reportUnexpected called when the process exits without having been stopped */
  constructor(
    readonly name: ProcessName,
    private readonly port: number,
    private readonly env: NodeJS.ProcessEnv,
    private readonly logFile: string,
    private readonly reportUnexpected: (what: string) => void,
  ) {
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Starts the process and returns when it is listening. Does nothing if it is running. */
  async start(): Promise<void> {
    if (this.child) return;
    const log = openSync(this.logFile, 'a');
    writeSync(log, `${JSON.stringify({ time: new Date(), chaos: `${this.name} starts` })}\n`);
    const child = spawn(process.execPath, programOf(this.name), {
      // The environment is not inherited: variables of the user's shell must not affect the test.
      env: { PATH: process.env['PATH'], PORT: String(this.port), GRPC_PORT: '0', LOG_FORMAT: 'json', ...this.env },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.child = child;
    this.exitExpected = false;
    child.once('exit', (code, signal) => {
      this.child = undefined;
      if (!this.exitExpected)
        this.reportUnexpected(`${this.name} exited unexpectedly (${signal ?? `exit status ${code}`})`);
    });
    await until(
      `${this.name} is listening`,
      async () =>
        this.child !== child ||
        (await fetch(`${this.url}/health/live`, { signal: AbortSignal.timeout(2000) })).status === 200,
      60_000,
    );
  }

  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** Sends SIGTERM and records the stop in `stops`. The process must exit by itself, whatever else fails at the time. */
  async terminate(): Promise<void> {
    const { child } = this;
    if (!child) return;
    const sentAt = performance.now();
    const killTimer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
    await this.end('SIGTERM');
    clearTimeout(killTimer);
    this.stops.push({
      name: this.name,
      exit: child.signalCode ?? child.exitCode,
      tookMs: performance.now() - sentAt,
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
    this.exitExpected = true;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }
}

/** Returns the program that `npm start` or `npm run relay` runs. */
function programOf(name: ProcessName): string[] {
  const service = serviceOf(name);
  if (service === undefined) throw new Error(`${name} is not a process of a service`);
  return name.includes(' relay/')
    ? [join(root, 'tools/dist/relay.js'), service]
    : [join(root, 'apps', service, 'dist/main.js')];
}
