import { createInterface } from 'node:readline/promises';
import { type Readable, type Writable } from 'node:stream';
import { styleText } from 'node:util';
import { type Failure, Interrupted } from './failures.js';
import { plain, safeJson } from './safe-text.js';

/** A stream that may be a terminal. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number };

export interface Streams {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Output;
  readonly stderr: Output;
}

type Style = 'bold' | 'dim' | 'green' | 'red' | 'yellow';

/** What the command line reads and prints. Results go to the standard output; questions, progress and errors to the standard error. */
export class Terminal {
  private hasProgress = false;

  constructor(
    readonly streams: Streams,
    readonly json: boolean,
    private readonly signal?: AbortSignal,
  ) {}

  /** The width that a table may have; undefined if its reader is not a terminal. */
  get columns(): number | undefined {
    const { isTTY, columns } = this.streams.stdout;
    return isTTY ? columns : undefined;
  }

  /** Whether a person can be asked. */
  get isInteractive(): boolean {
    return this.streams.stdin.isTTY === true && this.streams.stderr.isTTY === true;
  }

  /** Colors a text, unless the output is not a terminal or NO_COLOR is set. */
  styled(style: Style, text: string): string {
    return styleText(style, text, { stream: this.streams.stdout });
  }

  /** Prints a result: as JSON with `--json`, otherwise as a text that `render` makes of it. */
  result<T>(value: T, render: (value: T) => string): void {
    this.endProgress();
    const text = this.json ? safeJson(value, 2) : render(value);
    this.streams.stdout.write(text.endsWith('\n') || text === '' ? text : `${text}\n`);
  }

  /** Tells a person something that is not part of the result. */
  note(text: string): void {
    this.endProgress();
    this.streams.stderr.write(`${plain(text)}\n`);
  }

  /** Reports a failure on the standard error: as a problem document with `--json`, otherwise as a text. */
  failure({ text, problem }: Pick<Failure, 'text' | 'problem'>): void {
    this.endProgress();
    this.streams.stderr.write(this.json ? `${safeJson(problem)}\n` : `twinbox: ${plain(text)}\n`);
  }

  /** Replaces the previous progress. Prints nothing if no terminal shows it. */
  progress(text: string): void {
    if (this.json || !this.streams.stderr.isTTY) return;
    this.streams.stderr.write(`\r\u001B[K${plain(text)}`);
    this.hasProgress = true;
  }

  /** Asks a question that is answered with y for yes. @throws Interrupted after Ctrl-C */
  async confirms(question: string): Promise<boolean> {
    const prompt = createInterface({ input: this.streams.stdin, output: this.streams.stderr });
    const interruption = new AbortController();
    // The prompt reads Ctrl-C from the terminal as a key, so there is no signal of the process.
    prompt.once('SIGINT', () => interruption.abort());
    const signal = AbortSignal.any([interruption.signal, ...(this.signal ? [this.signal] : [])]);
    try {
      const answer = await prompt.question(`${plain(question)} [y/N] `, { signal });
      return /^y(es)?$/i.test(answer.trim());
    } catch (error) {
      if (!signal.aborted) throw error;
      throw new Interrupted();
    } finally {
      prompt.close();
    }
  }

  private endProgress(): void {
    if (this.hasProgress) this.streams.stderr.write('\n');
    this.hasProgress = false;
  }
}
