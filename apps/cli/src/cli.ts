import { type Command, Option } from 'commander';
import { Connections } from './connection.js';
import { DONE, FAILED, UsageError } from './failures.js';
import { type Streams, Terminal } from './terminal.js';

/** Options that every command takes. */
interface CommonOptions {
  readonly json?: boolean;
  readonly timeout: number;
}

/** What a command works with. */
export interface Session {
  readonly terminal: Terminal;
  readonly connections: Connections;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Carries out a command. The result is whether it did all that it was asked to; `undefined` counts as true. */
type Work<A extends unknown[], O> = (session: Session, options: O, ...args: A) => Promise<boolean | void>;

/** One run of the command line. */
export class Cli {
  exitCode = DONE;

  constructor(
    private readonly streams: Streams,
    private readonly environment: Readonly<Record<string, string | undefined>>,
    private readonly signal: AbortSignal,
  ) {}

  /** Prints a text that does not come from a service, and so is the same with and without `--json`. */
  print(text: string): void {
    this.streams.stdout.write(text);
  }

  /** Makes the action of a command of what it does. commander passes the arguments first, then the options and the command. */
  action<O, A extends unknown[] = []>(work: Work<A, O>): (...parameters: unknown[]) => Promise<void> {
    return async (...parameters) => {
      const command = parameters.at(-1) as Command;
      const args = parameters.slice(0, -2) as A;
      const { json = false, timeout } = command.optsWithGlobals<CommonOptions>();
      const session: Session = {
        terminal: new Terminal(this.streams, json, this.signal),
        connections: new Connections(this.environment, timeout * 1000, this.signal),
        environment: this.environment,
        signal: this.signal,
      };
      if ((await work(session, command.opts() as O, ...args)) === false) this.exitCode = FAILED;
    };
  }
}

/** Adds the options that mean the same for every command. */
export function withCommonOptions(program: Command): Command {
  return program
    .option('--json', 'print JSON, and errors as problem documents')
    .option('--timeout <seconds>', 'how long a request may take with its retries', seconds, 30)
    .configureHelp({ showGlobalOptions: true });
}

/** The option of commands that change something. */
export const dryRun = () => new Option('--dry-run', 'only show what would be changed');

export const reason = () => new Option('--reason <text>', 'why, for the audit');

/** @throws UsageError if a change needs a confirmation and nobody can be asked, so that a script has to say `--yes` */
export function checkConfirmable(terminal: Terminal, yes: boolean | undefined): void {
  if (!yes && (!terminal.isInteractive || terminal.json))
    throw new UsageError(
      'This needs a confirmation, and nobody can be asked here. Look with --dry-run, then run it with --yes.',
    );
}

/** Asks before something is destroyed. @throws what {@link checkConfirmable} throws */
export async function confirmed(terminal: Terminal, question: string, yes: boolean | undefined): Promise<boolean> {
  if (yes) return true;
  checkConfirmable(terminal, yes);
  if (await terminal.confirms(question)) return true;
  terminal.note('Nothing was changed.');
  return false;
}

/** Parses a positive number of an option. */
export function seconds(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 3600)) throw new UsageError(`${text} is not a number of seconds between 0 and 3600.`);
  return value;
}

/** Parses a positive integer of an option. */
export function count(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`${text} is not a positive number.`);
  return Number(text);
}
