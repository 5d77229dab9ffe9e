import { Command, CommanderError } from 'commander';
import { Cli, withCommonOptions } from './cli.js';
import { addAudit } from './commands/audit.js';
import { addDeadLetters } from './commands/dead-letters.js';
import { addIncidents } from './commands/incidents.js';
import { addJobs } from './commands/jobs.js';
import { addOperations } from './commands/operations.js';
import { addOrder } from './commands/order.js';
import { addParked } from './commands/parked.js';
import { addPauses } from './commands/pauses.js';
import { addRefunds } from './commands/refunds.js';
import { addReplay } from './commands/replay.js';
import { addStatus } from './commands/status.js';
import { addCompletion } from './completion.js';
import { CommandFailed, DONE, failureOf, INTERRUPTED, Interrupted } from './failures.js';
import { type Streams, Terminal } from './terminal.js';

const EXAMPLES = `
Examples:
  twinbox status
  twinbox dead-letters causes
  twinbox dead-letters retry payments/inbox/17 --reason "The provider is back."
  twinbox order trace 01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d

The caller is TWINBOX_TOKEN or TWINBOX_TOKEN_FILE; with AUTH_MODE=dev, TWINBOX_USER and TWINBOX_ROLES. The services are TWINBOX_ORDERS_URL
and TWINBOX_PAYMENTS_URL.`;

/** Runs the command line. Returns its exit code: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted. */
export async function run(
  args: readonly string[],
  streams: Streams,
  environment: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal = new AbortController().signal,
): Promise<number> {
  const cli = new Cli(streams, environment, signal);
  try {
    await createProgram(cli, streams, isJson(args)).parseAsync([...args], { from: 'user' });
    return cli.exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return DONE;
    // What was interrupted, such as a read, may fail for a reason of its own.
    const isInterrupted = signal.aborted && !(error instanceof CommandFailed);
    const failure = failureOf(isInterrupted ? new Interrupted() : error);
    new Terminal(streams, isJson(args)).failure(failure);
    return signal.aborted ? INTERRUPTED : failure.exitCode;
  }
}

/** Also known if the command is not valid. */
const isJson = (args: readonly string[]) => args.includes('--json');

/** Returns all commands. */
export function createProgram(cli: Cli, { stdout, stderr }: Streams, json: boolean): Command {
  const program = withCommonOptions(new Command('twinbox'))
    .description('Operates Twinbox through the administration API of its services.')
    .addHelpText('after', EXAMPLES)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      // Errors are reported in one place. What remains is the help of a command that lacks a subcommand.
      writeErr: (text) => json || text.startsWith('error:') || stderr.write(text),
      getOutHelpWidth: () => stdout.columns ?? 80,
      getOutHasColors: () => stdout.isTTY === true,
    });
  for (const add of COMMANDS) add(program, cli);
  return program;
}

const COMMANDS: readonly ((program: Command, cli: Cli) => void)[] = [
  addStatus,
  addDeadLetters,
  addJobs,
  addParked,
  addPauses,
  addReplay,
  addOperations,
  addIncidents,
  addAudit,
  addOrder,
  addRefunds,
  addCompletion,
];
