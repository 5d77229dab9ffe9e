import { PassThrough } from 'node:stream';
import { run } from '../src/program.js';

/** What a command has printed, and its exit code. */
export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command is run. By default, nobody sits at a terminal. */
export interface Circumstances {
  readonly env?: Readonly<Record<string, string>>;
  /** What is typed at a terminal; without it, there is no terminal. */
  readonly typed?: string;
  /** Whether more could be typed. */
  readonly isOpen?: boolean;
  /** The width of the terminal. */
  readonly columns?: number;
  readonly stdin?: string;
  readonly signal?: AbortSignal;
}

/** Runs a command in this process, with streams of its own. */
export async function runCommand(args: readonly string[], circumstances: Circumstances = {}): Promise<Ran> {
  const { env = {}, typed, isOpen = false, columns = 100, stdin = '', signal } = circumstances;
  const terminal = typed === undefined ? {} : { isTTY: true, columns };
  const [stdout, stderr] = [collected(terminal), collected(terminal)];
  const input = Object.assign(new PassThrough(), terminal);
  input.write(typed ?? stdin);
  if (!isOpen) input.end();
  const streams = { stdin: input, stdout: stdout.stream, stderr: stderr.stream };
  const exitCode = await run(args, streams, env, signal);
  return { exitCode, stdout: stdout.text(), stderr: stderr.text() };
}

function collected(terminal: object) {
  const stream = Object.assign(new PassThrough(), terminal);
  const chunks: string[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
  return { stream, text: () => chunks.join('') };
}
