import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Readable, type Writable } from 'node:stream';
import { promisify } from 'node:util';
import { until } from '@twinbox/messaging/testing';
import { provideJars, root } from '@twinbox/tools';

const PROJECT = join(root, 'test/java');
const DOCUMENT = join(root, 'libs/contracts/events/asyncapi.json');
/** The program runs for seconds, and the optimising compiler would take longer to pay for itself. */
const SHORT_LIVED = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];

/** A message as the Java consumer read it. */
export interface ReadEvent {
  readonly topic: string;
  /** Its name in the AsyncAPI document, `OrderPlaced.v2`. Undefined if no message of the channel has such headers. */
  readonly message?: string;
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly data?: Readonly<Record<string, unknown>>;
  /** Every difference from the document. */
  readonly problems: readonly string[];
}

type Line = ReadEvent | { readonly sent: string } | { readonly refused: string };

/** The consumer and the producer in `test/java`, in a process of their own. */
export class EventExchange {
  /** Everything that the consumer has read. */
  readonly read: ReadEvent[] = [];
  private readonly answers: ((line: Line) => void)[] = [];
  private readonly gone: Promise<void>;
  private hasEnded = false;
  private errors = '';

  constructor(private readonly process: ChildProcessByStdio<Writable, Readable, Readable>) {
    process.stderr.on('data', (chunk: Buffer) => (this.errors += chunk.toString()));
    // Writing to a process that has ended fails. `send` reports that it has ended.
    process.stdin.on('error', () => undefined);
    this.gone = this.end();
    createInterface({ input: process.stdout }).on('line', (text) => {
      const line = JSON.parse(text) as Line;
      if ('topic' in line) this.read.push(line);
      else this.answers.shift()?.(line);
    });
  }

  /** Waits for the end of the process, and then reports it to everybody who waits for an answer. */
  private async end(): Promise<void> {
    // Not `exit`, because its last answers may still be unread then.
    await once(this.process, 'close');
    this.hasEnded = true;
    for (const answer of this.answers.splice(0)) answer({ refused: this.ending() });
  }

  private ending(): string {
    return `The Java process has ended. ${this.errors}`;
  }

  /** Sends the example of a message, with other fields, and returns its id. Throws what the producer says if it refuses to send it. */
  async send(topic: string, message: string, fields: object): Promise<string> {
    if (this.hasEnded) throw new Error(this.ending());
    const line = await new Promise<Line>((resolve) => {
      this.answers.push(resolve);
      this.process.stdin.write(`${JSON.stringify({ topic, message, fields })}\n`);
    });
    if ('sent' in line) return line.sent;
    throw new Error('refused' in line ? line.refused : 'an answer without an id');
  }

  /** Waits until the consumer has read a message of the key with this name, and returns it. */
  receives(topic: string, key: string, name: string): Promise<ReadEvent> {
    return until(`Java reads ${name} of ${key}`, () => {
      if (this.hasEnded) throw new Error(this.ending());
      return this.read.find((event) => event.topic === topic && event.key === key && event.message === name);
    });
  }

  async stop(): Promise<void> {
    this.process.stdin.end();
    await this.gone;
  }
}

/** Compiles and starts the programs. The topics are given with the addresses of their channels in the document. */
export async function startEventExchange(
  brokers: readonly string[],
  topics: readonly (readonly [topic: string, address: string])[],
): Promise<EventExchange> {
  const pom = join(PROJECT, 'pom.xml');
  const version = createHash('sha256')
    .update(await readFile(pom))
    .digest('hex')
    .slice(0, 8);
  const { java, directory } = await provideJars(
    { name: `java-events-${version}`, what: "The Java programs' jars", pom, properties: {}, megabytes: 20 },
    { logFile: join(tmpdir(), 'java-events.log') },
  );
  const classes = await mkdtemp(join(tmpdir(), 'java-events-'));
  const jars = (await readdir(directory)).map((jar) => join(directory, jar));
  const sources = join(PROJECT, 'src/main/java/events');
  const files = (await readdir(sources)).map((file) => join(sources, file));
  const compiler = ['-m', 'jdk.compiler/com.sun.tools.javac.Main', '-d', classes, '-cp', jars.join(':'), ...files];
  await promisify(execFile)(java, [...SHORT_LIVED, ...compiler]);
  const mapped = topics.map((pair) => pair.join('='));
  const program = ['-cp', [classes, ...jars].join(':'), 'events.Exchange', DOCUMENT, brokers.join(','), ...mapped];
  return new EventExchange(spawn(java, [...SHORT_LIVED, ...program], { stdio: ['pipe', 'pipe', 'pipe'] }));
}
