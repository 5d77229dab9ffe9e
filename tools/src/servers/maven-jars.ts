import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { exists } from './kafka-server.js';
import { isRunning, run } from './processes.js';

/** Jars that Maven downloads once, and where it puts them. */
export interface MavenJars {
  /** Describes the jars in progress and errors: "Apache Kafka 4.3.0". */
  readonly what: string;
  /** The final directory of the jars. */
  readonly directory: string;
  /** The pom whose dependencies are downloaded. */
  readonly pom: string;
  /** Passed to Maven, for example the versions that the pom refers to. */
  readonly properties: Readonly<Record<string, string>>;
  /** About how much is downloaded: the jars, and the plugins with which Maven copies them. */
  readonly megabytes: number;
}

export interface DownloadOptions {
  /** Called when the download begins, and as it proceeds. */
  readonly onProgress?: ((what: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Maven's output is appended to this file. */
  readonly logFile: string;
}

/** Maven runs for seconds. Without these options it takes almost twice the CPU time, which the optimising compiler uses. */
const SHORT_LIVED = '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC';

/** Has Maven download and verify the jars. The directory is complete or absent, even with two concurrent runs. */
export async function downloadMavenJars(
  { what, directory, pom, properties, megabytes }: MavenJars,
  { onProgress, signal, logFile }: DownloadOptions,
): Promise<void> {
  onProgress?.(`downloading ${what} with Maven (about ${megabytes} MB, once)`);
  const parent = dirname(directory);
  await mkdir(parent, { recursive: true });
  await removeUnfinished(parent);
  const unfinished = await mkdtemp(`${parent}/${basename(directory)}.${process.pid}.unfinished-`);
  try {
    const options = Object.entries(properties).map(([name, value]) => `-D${name}=${value}`);
    const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${unfinished}`];
    await run('mvn', ['--batch-mode', '--file', pom, ...options, ...goal], {
      what: `Downloading ${what} with Maven`,
      logFile,
      signal,
      env: { ...process.env, MAVEN_OPTS: [SHORT_LIVED, process.env['MAVEN_OPTS']].filter(Boolean).join(' ') },
      onLine: downloadProgress((mb) => onProgress?.(`${mb} of about ${megabytes} MB`)),
    });
    // Fails if another run has finished first, which has downloaded the same jars.
    await rename(unfinished, directory).catch(async (error) => {
      if (!(await exists(directory))) throw error;
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

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

async function removeUnfinished(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const pid = /\.(\d+)\.unfinished-/.exec(name)?.[1];
    if (pid && !(await isRunning(Number(pid)))) await rm(`${directory}/${name}`, { recursive: true, force: true });
  }
}
