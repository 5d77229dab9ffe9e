import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

/** A process of its own for what is measured, so that the measuring does not share its CPU time, heap and compiled code. */
export interface Child<Result> {
  readonly pid: number;
  /** Ends it in order, and gives what it has to say. */
  stop(): Promise<Result>;
  /** What it says by itself once its work is done. */
  readonly result: Promise<Result>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGTERM. */
  terminate(): void;
}

type Script = 'bare-producer' | 'inbox' | 'relay' | 'saga-load' | 'saga-watch' | 'writer';

/** As `npm run relay` has them: V8 would rather take memory than collect garbage. */
const RELAY_FLAGS = ['--max-semi-space-size=8', '--max-old-space-size=160'];

/** Starts a script of `processes/` and returns when it says that it is ready. */
export async function startChild<Result>(script: Script, options: object): Promise<Child<Result>> {
  const child = fork(new URL(`processes/${script}.js`, import.meta.url), {
    // Bare kafkajs sets a timer to a moment in 1970, of which Node warns.
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
  // One that is killed has nothing to say, and nobody waits for it.
  result.catch(() => undefined);
  child.send(options);
  await Promise.race([ready(child), result]);
  return {
    pid: child.pid ?? 0,
    result,
    async stop() {
      child.send('stop');
      const said = await result;
      await exited;
      return said;
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
 * The other end, in the child: `begin` makes it ready and gives what ends it. It ends with its parent, whatever that dies of.
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- what the parent sends is what the script says it takes
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
