import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type ServiceName } from '@twinbox/migrations/services';
import { home, root } from '../checkout.js';
import { OperationalError } from '../errors.js';
import { SERVICE_HEAP } from '../memory.js';
import { end, lastLines, logSince, openLog, pidsWithArguments, until } from '../servers/processes.js';
import { COMPILER } from './compiler.js';
import { showOutput } from './output.js';
import { messagingNotReady, serviceNotReady } from './readiness.js';

/** An argument that no other program has. It identifies those of our processes that have no other identifying argument. */
const MARK = `--started-by=${home}`;

export interface ServiceOptions {
  /** The folder under `apps`. */
  readonly name: ServiceName | 'console';
  /** Where its build is, below that folder. `dist` by default. */
  readonly dist?: string;
  readonly port: number;
  readonly env: NodeJS.ProcessEnv;
  readonly logFile: string;
  /** Whether to restart the service when its build changes, and to show its log in the terminal too. */
  readonly watch: boolean;
}

/** Starts tracing if the environment asks for it. */
export const TELEMETRY = ['--import', '@twinbox/api-kit/telemetry'];

/** A running service. */
export class ServiceProcess {
  readonly name: ServiceOptions['name'];
  /** Resolves with an error to print when the service exits without `stop`. */
  readonly died: Promise<OperationalError>;
  private stopped = false;

  private constructor(
    private readonly options: ServiceOptions,
    private readonly child: ChildProcess,
    private readonly logStart: number,
  ) {
    this.name = options.name;
    const exit = new Promise<string>((resolve) => {
      child
        .once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
        .once('error', (error) => resolve(error.message));
    });
    this.died = new Promise<OperationalError>((resolve) => {
      void exit.then(async (how) => !this.stopped && resolve(await this.failure(`exited unexpectedly (${how})`)));
    });
  }

  /** Starts a service in its own process group, so that Ctrl-C does not reach it directly and `stop` can end it before its servers. */
  static async start(options: ServiceOptions): Promise<ServiceProcess> {
    const { name, dist = 'dist', port, env, logFile, watch } = options;
    const main = join(root, 'apps', name, dist, 'main.js');
    const flags = watch ? watchFlags(`apps/${name}/${dist}`) : [];
    const log = await openLog(logFile);
    const child = spawn(process.execPath, [...flags, SERVICE_HEAP, ...TELEMETRY, main, MARK], {
      cwd: root,
      // Both services would otherwise have the name that the terminal's environment may have.
      env: { ...process.env, ...env, PORT: String(port), OTEL_SERVICE_NAME: name },
      detached: true,
      stdio: watch ? ['ignore', 'pipe', 'pipe'] : ['ignore', log.fd, log.fd],
    });
    if (watch) showOutput(name, child, logFile);
    const service = new ServiceProcess(options, child, log.start);
    await log.close();
    return service;
  }

  /** Waits until the service can serve requests. */
  ready(signal: AbortSignal): Promise<void> {
    return this.wait(() => serviceNotReady(`http://127.0.0.1:${this.options.port}/health/ready`), signal);
  }

  /** Waits until its relay is publishing or on standby, and its consumers have joined their groups. */
  messagingReady(signal: AbortSignal, operator: Record<string, string>): Promise<void> {
    const url = `http://127.0.0.1:${this.options.port}/health/messaging`;
    return this.wait(() => messagingNotReady(url, operator), signal);
  }

  /** Sends SIGTERM, then SIGKILL if it is still running after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.stopped = true;
    const { pid, exitCode, signalCode } = this.child;
    if (pid && exitCode === null && signalCode === null) await end([pid], graceMs);
  }

  /** Waits until `notReady` returns undefined instead of a reason: for at most a minute, and only as long as the service is running. */
  private async wait(notReady: () => Promise<string | undefined>, signal: AbortSignal): Promise<void> {
    let reason: string | undefined;
    const isReady = async () => (reason = await notReady()) === undefined;
    const waiting = new AbortController();
    const ready = until(isReady, 60_000, { everyMs: 50, signal: AbortSignal.any([signal, waiting.signal]) });
    try {
      const outcome = await Promise.race([ready, this.died]);
      if (outcome === false) throw await this.failure(`is not ready after 60 s: ${reason}`);
      if (outcome instanceof OperationalError) throw outcome;
    } finally {
      waiting.abort();
      await ready.catch(() => false);
    }
  }

  private async failure(what: string): Promise<OperationalError> {
    const { name, logFile } = this.options;
    const logged = lastLines(await logSince(logFile, this.logStart));
    return new OperationalError(`${name} ${what}. Its last log lines (all of them are in ${logFile}):\n${logged}`);
  }
}

/** The flags with which Node restarts a service when its own build, or that of a library, changes. */
function watchFlags(dist: string): string[] {
  const libraries = readdirSync(join(root, 'libs')).map((library) => `libs/${library}/dist`);
  const paths = [dist, ...libraries];
  return ['--watch', '--watch-preserve-output', ...paths.map((path) => `--watch-path=${join(root, path)}`)];
}

/** Stops the processes that a killed earlier run has left running, and returns how many there were. */
export async function endStaleServices(): Promise<number> {
  const pids = [...(await pidsWithArguments(MARK)), ...(await pidsWithArguments(...COMPILER))];
  await end(pids, 10_000);
  return pids.length;
}
