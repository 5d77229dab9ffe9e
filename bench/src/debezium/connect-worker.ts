import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort, OperationalError, root } from '@twinbox/tools';
import { JVM_OPTIONS, workerProperties } from './configuration.js';
import { debeziumJars } from './jars.js';

interface Status {
  readonly connector: { readonly state: string };
  readonly tasks: readonly { readonly state: string; readonly trace?: string }[];
}

const TIMEOUT_MS = 60_000;

/** A Kafka Connect worker in standalone mode with Debezium: one JVM, controlled over Connect's REST API on loopback. */
export class ConnectWorker {
  private readonly exited: Promise<unknown>;
  private readonly onExit: () => void;

  private constructor(
    private readonly child: ChildProcess,
    private readonly url: string,
    private readonly directory: string,
  ) {
    this.exited = new Promise((resolve) => child.once('exit', resolve));
    // Nothing else ends the JVM and removes its files when this process ends early.
    this.onExit = () => {
      child.kill('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    };
    process.once('exit', this.onExit);
  }

  /** Starts a worker and returns when it accepts requests. It ends when the signal is aborted, and with this process. */
  static async start(brokers: readonly string[], signal: AbortSignal): Promise<ConnectWorker> {
    const { java, directory: jars } = await debeziumJars(join(tmpdir(), `twinbox-debezium-${process.pid}.log`), signal);
    const directory = await mkdtemp(join(tmpdir(), 'twinbox-debezium-'));
    const port = await freePort();
    const properties = Object.entries(workerProperties(brokers, join(directory, 'offsets'), port));
    const file = join(directory, 'worker.properties');
    await writeFile(file, properties.map(([name, value]) => `${name}=${value}\n`).join(''));
    const logging = `-Dlog4j2.configurationFile=${join(root, 'tools/kafka/log4j2.properties')}`;
    const log = await open(join(directory, 'log'), 'a');
    const main = ['-cp', join(jars, '*'), 'org.apache.kafka.connect.cli.ConnectStandalone', file];
    const child = spawn(java, [...JVM_OPTIONS, logging, ...main], {
      stdio: ['ignore', log.fd, log.fd],
      signal,
      killSignal: 'SIGKILL',
    });
    // An abort is also reported here. The run ends anyway.
    child.on('error', () => undefined);
    await log.close();
    const worker = new ConnectWorker(child, `http://127.0.0.1:${port}`, directory);
    try {
      await worker.until('Kafka Connect accepts requests', async () => (await fetch(worker.url)).ok);
      return worker;
    } catch (error) {
      await worker.end();
      throw error;
    }
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Creates a connector and returns when its task is running. */
  async create(name: string, config: Readonly<Record<string, string>>): Promise<void> {
    await this.request('PUT', `/connectors/${name}/config`, config);
    await this.isRunning(name);
  }

  /** Stops the connector's task, and keeps its offsets. */
  async stop(name: string): Promise<void> {
    await this.request('PUT', `/connectors/${name}/stop`);
    await this.until(`${name} has stopped`, async () => {
      const { connector, tasks } = await this.status(name);
      return connector.state === 'STOPPED' && tasks.length === 0;
    });
  }

  async resume(name: string): Promise<void> {
    await this.request('PUT', `/connectors/${name}/resume`);
    await this.isRunning(name);
  }

  async remove(name: string): Promise<void> {
    await this.request('DELETE', `/connectors/${name}`);
  }

  /** Rejects when the task of the connector or the worker fails. Never resolves. */
  async failure(name: string, done: AbortSignal): Promise<never> {
    for (;;) {
      await delay(2000, undefined, { signal: done });
      const status = await this.status(name).catch(async (error: unknown) => {
        throw await this.failed('Kafka Connect shows the state of its connector', error);
      });
      this.check(status);
    }
  }

  /** Stops the JVM and deletes its files. */
  async end(): Promise<void> {
    process.off('exit', this.onExit);
    this.child.kill('SIGTERM');
    const late = AbortSignal.timeout(20_000);
    const kill = () => this.child.kill('SIGKILL');
    late.addEventListener('abort', kill);
    if (this.child.exitCode === null && this.child.signalCode === null) await this.exited;
    late.removeEventListener('abort', kill);
    await rm(this.directory, { recursive: true, force: true });
  }

  private isRunning(name: string): Promise<void> {
    return this.until(`the task of ${name} is running`, async () => {
      const status = await this.status(name);
      this.check(status);
      return status.tasks.length > 0 && status.tasks.every(({ state }) => state === 'RUNNING');
    });
  }

  private check({ tasks }: Status): void {
    const failed = tasks.find(({ state }) => state === 'FAILED');
    if (failed) throw new OperationalError(`Debezium's connector failed:\n${failed.trace ?? ''}`);
  }

  private async status(name: string): Promise<Status> {
    return (await (await this.request('GET', `/connectors/${name}/status`)).json()) as Status;
  }

  private async request(method: string, path: string, body?: object): Promise<Response> {
    const response = await fetch(this.url + path, {
      method,
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    if (!response.ok) throw new NotYet(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  }

  /** Waits for a condition. Requests that fail count as false, because Connect applies changes asynchronously. */
  private async until(what: string, condition: () => Promise<boolean>): Promise<void> {
    const end = performance.now() + TIMEOUT_MS;
    let reason: unknown;
    for (;;) {
      const holds = await condition().catch((error: unknown) => {
        if (error instanceof OperationalError) throw error;
        reason = error;
        return false;
      });
      if (holds) return;
      if (this.child.exitCode !== null || performance.now() > end) throw await this.failed(what, reason);
      await delay(50);
    }
  }

  private async failed(what: string, cause: unknown): Promise<OperationalError> {
    const log = await readFile(join(this.directory, 'log'), 'utf8').catch(() => '');
    const last = log.trimEnd().split('\n').slice(-15).join('\n');
    return new OperationalError(
      `Debezium failed while the benchmark waited until ${what}. The last lines of its log:\n${last}`,
      { cause },
    );
  }
}

/** A request that Connect has answered with an error status. */
class NotYet extends Error {}
