import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { home, root, shortHash } from '../checkout.js';
import { heapOptions, type KafkaDefinition, readKafkaDefinition, serverProperties } from './kafka-definition.js';
import { acceptsConnections, freePort } from './ports.js';
import {
  ask,
  end,
  isRunning,
  lastLines,
  logSince,
  openLog,
  pidsWithArguments,
  run,
  signalIfThere,
  until,
} from './processes.js';
import { OperationalError } from '../errors.js';

export interface KafkaOptions {
  /** Created if missing; data of an earlier run is reused. Default: a new temporary directory. */
  readonly dataDir?: string;
  /** 0, the default, picks a free port. */
  readonly port?: number;
  /** The log is appended to this file. Default: a file next to the data directory. */
  readonly logFile?: string;
  /** Called with a description of each slow operation, such as a download. */
  readonly onProgress?: (what: string) => void;
  readonly signal?: AbortSignal;
}

/** A single KRaft node. It runs outside the process group of the caller, so only these methods stop it, not Ctrl-C in the terminal. */
export interface KafkaServer {
  /** host:port, the format of KAFKA_BROKERS. */
  readonly brokers: string;
  readonly port: number;
  /** Starts the node again with the same data and port. Does nothing if it is running. */
  start(): Promise<void>;
  /** Shuts the node down in a controlled way. */
  stop(): Promise<void>;
  restart(): Promise<void>;
  /** Sends SIGKILL, to simulate a crash. */
  kill(): Promise<void>;
  /** Suspends its processes, as if the machine hung: connections stay open but are silent until `resume`. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Stops the node and deletes its data. */
  remove(): Promise<void>;
}

/**
 * Starts Apache Kafka as the `kafka` service of docker-compose.yml defines it, and returns when it accepts requests. It runs in a
 * container if a Docker engine is running, otherwise with Java from Kafka's own jars, which Maven downloads once. A data directory
 * written by the jars is used with the jars again, because a container would not see it. A node that a killed earlier run has left
 * running on the same data is stopped first.
 */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaServer> {
  const wanted = resolve(options.dataDir ?? (await mkdtemp(join(tmpdir(), 'twinbox-kafka-'))));
  await mkdir(dirname(wanted), { recursive: true });
  // A stale node is identified by the path in its command line, so the path must always be spelled the same way.
  const dataDir = join(await realpath(dirname(wanted)), basename(wanted));
  await mkdir(dataDir, { recursive: true });
  const logFile = options.logFile ?? `${dataDir}.log`;
  const context: Context = { ...options, dataDir, logFile, definition: await readKafkaDefinition() };

  const java = await findJava();
  const jarsHaveData = (await exists(join(dataDir, 'log'))) && java !== undefined;
  const make = !jarsHaveData && (await dockerRuns()) ? inDocker : await fromJars(context, java);

  // Another process may take the free port before Kafka listens on it.
  const attempts = options.port ? 1 : 3;
  for (let attempt = 1; ; attempt++) {
    const port = options.port || (await freePort());
    const node = make(context, port);
    const server: KafkaServer = {
      brokers: `127.0.0.1:${port}`,
      port,
      ...node,
      restart: async () => {
        await node.stop();
        await node.start();
      },
      remove: async () => {
        await node.remove();
        await rm(dataDir, { recursive: true, force: true });
        if (!options.logFile) await rm(logFile, { force: true });
      },
    };
    try {
      await server.start();
      return server;
    } catch (error) {
      await node.stop();
      if (attempt >= attempts || options.signal?.aborted || !/address.* in use|already allocated/i.test(String(error)))
        throw error;
    }
  }
}

/** Stops the node that an earlier run has left running on this data directory, if any; `remove` also deletes the data of its container. */
export async function endStaleKafka(dataDir: string, { remove = false } = {}): Promise<void> {
  const dir = await realpath(dataDir).catch(() => resolve(dataDir));
  await end(await pidsWithArguments(...marker(dir)), 15_000);
  if (!(await exists(join(dir, IN_DOCKER)))) return;
  if (!(await dockerRuns()))
    throw new OperationalError(
      `An earlier run has left Kafka's data in Docker, which is not running. Start Docker, or discard that data: rm -rf ${dir}`,
    );
  const context = { dataDir: dir, logFile: join(dir, 'docker.log'), definition: await readKafkaDefinition() };
  const node = inDocker(context, 0);
  await (remove ? node.remove() : node.stop());
}

interface Context extends KafkaOptions {
  readonly dataDir: string;
  readonly logFile: string;
  readonly definition: KafkaDefinition;
}

type Node = Omit<KafkaServer, 'brokers' | 'port' | 'restart'>;

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

// ---- In a container -------------------------------------------------------------------------------------------------------

/** Name of a file that marks a data directory while its container may be running, so that only then Docker has to be queried. */
const IN_DOCKER = 'in-docker';

async function dockerRuns(): Promise<boolean> {
  const [info, compose] = await Promise.all([
    ask('docker', ['info'], 5_000),
    ask('docker', ['compose', 'version'], 5_000),
  ]);
  return info !== undefined && compose !== undefined;
}

/** Returns a reader for the lines of `docker pull` that reports each completed layer. */
export function pullProgress(report: (done: number, all: number) => void): (line: string) => void {
  const layers = new Map<string, boolean>();
  return (line) => {
    // 3f4f0a1b2c3d: Pull complete
    const [, id = '', state = ''] = /^([\da-f]{12}): (.+)$/.exec(line) ?? [];
    if (!id) return;
    const isDone = /^(Pull complete|Already exists)/.test(state);
    const isNewlyDone = isDone && !layers.get(id);
    layers.set(id, isDone || layers.get(id) === true);
    if (isNewlyDone) report([...layers.values()].filter(Boolean).length, layers.size);
  };
}

function inDocker({ dataDir, logFile, definition, onProgress, signal }: Context, port: number): Node {
  const project = `twinbox-${shortHash(dataDir)}`;
  const compose = (what: string, args: string[], until?: AbortSignal) =>
    run('docker', ['compose', '-p', project, '-f', join(root, 'docker-compose.yml'), ...args], {
      what,
      logFile,
      cwd: root,
      env: { ...process.env, KAFKA_PORT: String(port || 1) },
      ...(until && { signal: until }),
    });
  const unmark = () => rm(join(dataDir, IN_DOCKER), { force: true });
  // A pull takes minutes, so it can be aborted and reports its progress.
  const pull = () => {
    onProgress?.(`pulling the image ${definition.image} (about 400 MB unpacked, once)`);
    const what = `Pulling the image ${definition.image}`;
    const onLine = pullProgress((done, all) => onProgress?.(`${done} of ${all} layers of the image`));
    return run('docker', ['pull', definition.image], { what, logFile, signal, onLine });
  };
  return {
    start: async () => {
      if ((await ask('docker', ['image', 'inspect', definition.image], 10_000)) === undefined) await pull();
      await writeFile(join(dataDir, IN_DOCKER), project);
      signal?.throwIfAborted();
      await compose('Starting Kafka in Docker', ['up', '--detach', '--wait', '--no-deps', 'kafka'], signal);
      signal?.throwIfAborted();
    },
    stop: async () => {
      await compose('Stopping Kafka in Docker', ['stop', 'kafka']);
      await unmark();
    },
    kill: () => compose('Killing Kafka in Docker', ['kill', '--signal', 'KILL', 'kafka']),
    pause: () => compose('Pausing Kafka in Docker', ['pause', 'kafka']),
    resume: () => compose('Resuming Kafka in Docker', ['unpause', 'kafka']),
    remove: async () => {
      await compose('Removing Kafka from Docker', ['down', '--volumes']);
      await unmark();
    },
  };
}

// ---- From Kafka's own jars ------------------------------------------------------------------------------------------------

const CHOICES =
  'Kafka needs one of these: a running Docker engine with compose; Java 17 or newer and Maven on the PATH; or KAFKA_BROKERS set ' +
  'to brokers that are already running (KAFKA_BROKERS=host:port).';

/** Returns the java command of JAVA_HOME or the PATH if it is recent enough for Kafka's server. */
async function findJava(): Promise<string | undefined> {
  const ofJavaHome = process.env['JAVA_HOME'] ? [join(process.env['JAVA_HOME'], 'bin/java')] : [];
  for (const command of [...ofJavaHome, 'java']) {
    const version = /version "(\d+)/.exec((await ask(command, ['-version'], 10_000)) ?? '')?.[1];
    if (Number(version) >= 17) return command;
  }
  return undefined;
}

/** What is needed to run Kafka's own Java client. */
export interface KafkaJars {
  readonly java: string;
  /** The directory that contains the jars. */
  readonly directory: string;
}

/**
 * Finds Java and Kafka's jars, and downloads missing jars; Maven's output goes to `logFile`. Returns undefined without Java, or if the
 * jars are missing and Maven is too.
 */
export async function findKafkaJars(
  options: Pick<Context, 'onProgress' | 'signal' | 'logFile'>,
): Promise<KafkaJars | undefined> {
  const [java, definition, maven] = await Promise.all([
    findJava(),
    readKafkaDefinition(),
    ask('mvn', ['--version'], 20_000),
  ]);
  const directory = jarsOf(definition.version);
  if (java === undefined || !((await exists(directory)) || maven !== undefined)) return undefined;
  return { java, directory: await downloadJars({ ...options, definition }) };
}

const jarsOf = (version: string): string => join(home, `kafka-${version}`);

async function fromJars(context: Context, java: string | undefined): Promise<(context: Context, port: number) => Node> {
  if (!java) throw new OperationalError(`Found neither a running Docker engine (with compose) nor Java 17. ${CHOICES}`);
  const jars = await downloadJars(context);
  return (_, port) => onJava(context, java, jars, port);
}

/** Kafka's jars (44 MB) and the plugins with which Maven copies them. */
const DOWNLOAD_MB = 53;

/** Returns a reader for the lines of Maven's output that reports the downloaded megabytes after every five more. */
export function downloadProgress(report: (mb: number) => void): (line: string) => void {
  const bytes = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 };
  let arrived = 0;
  let reported = 0;
  return (line) => {
    // Downloaded from central: https://… (4.5 MB at 8.3 MB/s)
    const [, size, unit] = /Downloaded from .* \(([\d.]+) (B|kB|MB|GB) at /.exec(line) ?? [];
    if (!unit) return;
    arrived += Number(size) * bytes[unit as keyof typeof bytes];
    const mb = Math.floor(arrived / 1e6);
    if (mb < reported + 5) return;
    reported = mb;
    report(mb);
  };
}

/** Has Maven download and verify the jars into .twinbox, once. The result is complete or absent, even with two concurrent runs. */
async function downloadJars({
  definition: { version },
  onProgress,
  logFile,
  signal,
}: Pick<Context, 'definition' | 'onProgress' | 'logFile' | 'signal'>): Promise<string> {
  const jars = jarsOf(version);
  if (await exists(jars)) return jars;
  if ((await ask('mvn', ['--version'], 20_000)) === undefined)
    throw new OperationalError(`Found neither a running Docker engine (with compose) nor Maven. ${CHOICES}`);
  onProgress?.(`downloading Apache Kafka ${version} with Maven (about ${DOWNLOAD_MB} MB, once)`);
  await mkdir(home, { recursive: true });
  await removeUnfinished(home);
  const unfinished = await mkdtemp(join(home, `kafka-${version}.${process.pid}.unfinished-`));
  try {
    const pom = ['--file', join(root, 'tools/kafka/pom.xml'), `-Dkafka.version=${version}`];
    const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${unfinished}`];
    await run('mvn', ['--batch-mode', ...pom, ...goal], {
      what: `Downloading Apache Kafka ${version} with Maven`,
      logFile,
      signal,
      onLine: downloadProgress((mb) => onProgress?.(`${mb} of about ${DOWNLOAD_MB} MB`)),
    });
    // Fails if another run has finished first, which has downloaded the same jars.
    await rename(unfinished, jars).catch(async (error) => {
      if (!(await exists(jars))) throw error;
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return jars;
}

async function removeUnfinished(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const pid = /\.(\d+)\.unfinished-/.exec(name)?.[1];
    if (pid && !(await isRunning(Number(pid)))) await rm(join(directory, name), { recursive: true, force: true });
  }
}

const marker = (dataDir: string) => [`-Dtwinbox.data=${dataDir}`];

function onJava({ dataDir, logFile, definition, signal }: Context, java: string, jars: string, port: number): Node {
  const log = join(dataDir, 'log');
  const properties = join(dataDir, 'server.properties');
  const logging = `-Dlog4j2.configurationFile=${join(root, 'tools/kafka/log4j2.properties')}`;
  const classpath = ['-cp', join(jars, '*')];
  let child: ChildProcess | undefined;

  const write = async (logDirs: string) =>
    writeFile(
      properties,
      serverProperties(definition.environment, { port, controllerPort: await freePort(), logDirs }),
    );

  const format = async () => {
    // Formats another directory and renames it at the end, so that an interrupted format never looks like a complete one.
    const unfinished = join(dataDir, 'log.unfinished');
    await rm(unfinished, { recursive: true, force: true });
    await write(unfinished);
    const fastStartup = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', logging, ...classpath];
    await run(
      java,
      [...fastStartup, 'kafka.tools.StorageTool', 'format', '--cluster-id', clusterId(), '--config', properties],
      {
        what: "Formatting Kafka's storage",
        logFile,
        signal,
      },
    );
    await rename(unfinished, log);
  };

  const signalNode = async (name: 'SIGSTOP' | 'SIGCONT') => {
    if (child?.pid) signalIfThere(child.pid, name);
  };

  const finish = async (ask: NodeJS.Signals, graceMs: number) => {
    const pid = child?.pid;
    // A paused process would not react to the signal.
    await signalNode('SIGCONT');
    child = undefined;
    if (pid) await end([pid], graceMs, ask);
  };

  const start = async () => {
    if (child) return;
    await endStaleKafka(dataDir);
    if (!(await exists(log))) await format();
    await write(log);
    signal?.throwIfAborted();
    const output = await openLog(logFile);
    const args = [
      ...marker(dataDir),
      ...heapOptions(definition.environment),
      logging,
      ...classpath,
      'kafka.Kafka',
      properties,
    ];
    const node = spawn(java, args, { cwd: dataDir, detached: true, stdio: ['ignore', output.fd, output.fd] });
    let exited = false;
    node.once('exit', () => (exited = true)).once('error', () => (exited = true));
    node.unref();
    await output.close();
    child = node;
    const started = async () =>
      (await logSince(logFile, output.start)).includes('Kafka Server started') && (await acceptsConnections(port));
    try {
      if ((await until(async () => exited || (await started()), 60_000, { signal })) && !exited) {
        node.once('exit', () => (child = child === node ? undefined : child));
        return;
      }
    } catch (error) {
      await finish('SIGKILL', 5_000);
      throw error;
    }
    await finish('SIGKILL', 5_000);
    const logged = await logSince(logFile, output.start);
    throw new OperationalError(
      `Kafka did not start on port ${port}. Its last log lines (all of them are in ${logFile}):\n${lastLines(logged)}`,
    );
  };

  return {
    start,
    stop: () => finish('SIGTERM', 20_000),
    kill: () => finish('SIGKILL', 5_000),
    pause: () => signalNode('SIGSTOP'),
    resume: () => signalNode('SIGCONT'),
    remove: () => finish('SIGKILL', 5_000),
  };
}

/** Returns 16 random bytes in the format of Kafka's ids. Never starts with a dash, which Kafka's tools would parse as an option. */
function clusterId(): string {
  const id = randomBytes(16).toString('base64url');
  return id.startsWith('-') ? clusterId() : id;
}
