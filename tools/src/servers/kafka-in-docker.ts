import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root, shortHash } from '../checkout.js';
import { type KafkaContext, type KafkaNode } from './kafka-server.js';
import { ask, run } from './processes.js';

/** Name of a file that marks a data directory while its container may be running, so that only then Docker has to be queried. */
export const IN_DOCKER = 'in-docker';

export async function dockerRuns(): Promise<boolean> {
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

export function inDocker({ dataDir, logFile, definition, onProgress, signal }: KafkaContext, port: number): KafkaNode {
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
