import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '../checkout.js';
import { OperationalError } from '../errors.js';
import { type ClusterMember, heapOptions, serverProperties } from './kafka-definition.js';
import { exists, type KafkaContext, type KafkaNode } from './kafka-server.js';
import { acceptsConnections, freePort } from './ports.js';
import { end, lastLines, logSince, openLog, run, signalIfThere, until } from './processes.js';
import { endStaleKafka, marker } from './stale-kafka.js';

const LOGGING = `-Dlog4j2.configurationFile=${join(root, 'tools/kafka/log4j2.properties')}`;

/** For a process that ends before the optimising compiler has paid for itself. It would take a core for the first half minute. */
const SHORT_LIVED = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];
/** Several nodes share a machine that is sized for one, and a test of failures needs no throughput. */
const MEMBER_OPTIONS = ['-Xms96m', '-Xmx256m', ...SHORT_LIVED];

/** A node that runs from Kafka's own jars. */
export class NodeOnJava implements KafkaNode {
  private readonly log: string;
  private readonly properties: string;
  private readonly classpath: readonly string[];
  private child: ChildProcess | undefined;

  constructor(
    private readonly context: KafkaContext,
    private readonly java: string,
    jars: string,
    private readonly port: number,
    /** Absent for a single node. */
    private readonly member?: ClusterMember,
  ) {
    this.log = join(context.dataDir, 'log');
    this.properties = join(context.dataDir, 'server.properties');
    this.classpath = ['-cp', join(jars, '*')];
  }

  async start(): Promise<void> {
    if (this.child) return;
    const { dataDir, logFile, signal } = this.context;
    await endStaleKafka(dataDir);
    if (!(await exists(this.log))) await this.format();
    await this.writeProperties(this.log);
    signal?.throwIfAborted();
    const output = await openLog(logFile);
    const node = await this.spawn(output);
    try {
      if (await this.hasStarted(node, output.start)) return;
    } catch (error) {
      await this.finish('SIGKILL', 5_000);
      throw error;
    }
    await this.finish('SIGKILL', 5_000);
    const logged = await logSince(logFile, output.start);
    throw new OperationalError(
      `Kafka did not start on port ${this.port}. Its last log lines (all of them are in ${logFile}):\n${lastLines(logged)}`,
    );
  }

  stop(): Promise<void> {
    return this.finish('SIGTERM', 20_000);
  }

  kill(): Promise<void> {
    return this.finish('SIGKILL', 5_000);
  }

  async pause(): Promise<void> {
    this.signalNode('SIGSTOP');
  }

  async resume(): Promise<void> {
    this.signalNode('SIGCONT');
  }

  remove(): Promise<void> {
    return this.finish('SIGKILL', 5_000);
  }

  private async spawn(output: Log): Promise<Started> {
    const { dataDir, definition, extras } = this.context;
    const args = [
      ...marker(dataDir),
      ...(this.member ? MEMBER_OPTIONS : heapOptions(definition.environment)),
      LOGGING,
      ...(extras?.javaOptions ?? []),
      ...this.classpath,
      ...(this.context.shortLived && !this.member ? SHORT_LIVED : []),
      'kafka.Kafka',
      this.properties,
    ];
    const child = spawn(this.java, args, { cwd: dataDir, detached: true, stdio: ['ignore', output.fd, output.fd] });
    const node = { child, hasExited: false };
    const exited = () => (node.hasExited = true);
    child.once('exit', exited).once('error', exited);
    child.unref();
    await output.close();
    this.child = child;
    return node;
  }

  /** Waits until the node accepts requests. Returns false if it has exited, or does not within a minute. */
  private async hasStarted(node: Started, logStart: number): Promise<boolean> {
    const { logFile, signal } = this.context;
    const isServing = async () =>
      (await logSince(logFile, logStart)).includes('Kafka Server started') && (await acceptsConnections(this.port));
    const isDecided = await until(async () => node.hasExited || (await isServing()), 60_000, { signal });
    if (!isDecided || node.hasExited) return false;
    node.child.once('exit', () => (this.child = this.child === node.child ? undefined : this.child));
    return true;
  }

  private async format(): Promise<void> {
    const { dataDir, logFile, signal, extras } = this.context;
    // Formats another directory and renames it at the end, so that an interrupted format never looks like a complete one.
    const unfinished = join(dataDir, 'log.unfinished');
    await rm(unfinished, { recursive: true, force: true });
    await this.writeProperties(unfinished);
    const fastStartup = [...SHORT_LIVED, LOGGING, ...this.classpath];
    const tool = [
      'kafka.tools.StorageTool',
      'format',
      '--cluster-id',
      this.member?.clusterId ?? clusterId(),
      '--config',
      this.properties,
      ...(extras?.formatOptions ?? []),
    ];
    await run(this.java, [...fastStartup, ...tool], { what: "Formatting Kafka's storage", logFile, signal });
    await rename(unfinished, this.log);
  }

  private async writeProperties(logDirs: string): Promise<void> {
    const { definition, extras } = this.context;
    const { port, member } = this;
    const controllerPort = member?.controllerPorts.get(member.nodeId) ?? (await freePort());
    const place = { port, controllerPort, logDirs, member, extras };
    await writeFile(this.properties, serverProperties(definition.environment, place));
  }

  private signalNode(name: 'SIGSTOP' | 'SIGCONT'): void {
    if (this.child?.pid) signalIfThere(this.child.pid, name);
  }

  private async finish(ask: NodeJS.Signals, graceMs: number): Promise<void> {
    const pid = this.child?.pid;
    // A paused process would not react to the signal.
    this.signalNode('SIGCONT');
    this.child = undefined;
    if (pid) await end([pid], graceMs, ask);
  }
}

type Log = Awaited<ReturnType<typeof openLog>>;

interface Started {
  readonly child: ChildProcess;
  hasExited: boolean;
}

/** Returns 16 random bytes in the format of Kafka's ids. Never starts with a dash, which Kafka's tools would parse as an option. */
export function clusterId(): string {
  const id = randomBytes(16).toString('base64url');
  return id.startsWith('-') ? clusterId() : id;
}
