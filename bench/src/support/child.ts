import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

/** A separate process for what is measured, so that the measurement does not share its CPU time, heap and compiled code. */
export interface Child<Result> {
  readonly pid: number;
  /** Stops it gracefully and returns its result. */
  stop(): Promise<Result>;
  /** Its result, if it finishes by itself. */
  readonly result: Promise<Result>;
  /** Sends SIGKILL. */
  kill(): Promise<void>;
  /** Sends SIGTERM. */
  terminate(): void;
}

type Script =
  'bare-producer' | 'inbox' | 'operations' | 'order-calls' | 'relay' | 'saga-load' | 'saga-watch' | 'writer';

/** As in `npm run relay`: V8 would rather take memory than collect garbage. */
const RELAY_FLAGS = ['--max-semi-space-size=8', '--max-old-space-size=160'];

/** Starts a script of `processes/` and returns when it reports that it is ready. */
export async function startChild<Result>(script: Script, options: object): Promise<Child<Result>> {
  const child = fork(new URL(`../processes/${script}.js`, import.meta.url), {
    // Bare kafkajs sets a timer to a time in 1970, about which Node warns.
    execArgv: ['--disable-warning=TimeoutNegativeWarning', ...(script === 'relay' ? RELAY_FLAGS : [])],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  const result = new Promise<Result>((resolve, reject) => {
    child.on('message', (message: object | string) => {
      if (typeof message === 'object' && 'result' in message) resolve(message.result as Result);
    });
    child.on('exit', (code, signal) => reject(new Error(`${script} ended with ${code ?? signal}`)));
  });
  // A killed process has no result, and nobody awaits it.
  result.catch(() => undefined);
  child.send(options);
  await Promise.race([ready(child), result]);
  return {
    pid: child.pid ?? 0,
    result,
    async stop() {
      child.send('stop');
      const value = await result;
      await exited;
      return value;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
    terminate: () => void child.kill('SIGTERM'),
  };
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.on('message', (message) => {
      if (message === 'ready') resolve();
    });
  });
}

/**
 * Runs a script in the child process. `begin` prepares it and returns the function that stops it. The child exits with its parent, however
 * that ends.
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the parent sends the options that the script declares
export function runAsChild<Options, Result>(
  begin: (options: Options, finish: (result: Result) => void) => Promise<() => Promise<Result>>,
): void {
  process.on('disconnect', () => process.exit());
  process.once('message', (options: Options) => {
    const finish = (result: Result) => process.send?.({ result }, () => process.exit());
    const run = async () => {
      const stop = await begin(options, finish);
      const end = () => void stop().then(finish, fail);
      process.on('message', end);
      process.on('SIGTERM', end);
      process.send?.('ready');
    };
    run().catch(fail);
  });
}

function fail(error: unknown): void {
  console.error(error);
  process.exit(1);
}
