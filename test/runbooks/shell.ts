import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { until } from '@twinbox/messaging/testing';
import { root } from '@twinbox/tools';
import { shellEnvironment } from '../support/checkout-copy.js';

export type Variables = Readonly<Record<string, string>>;

/**
 * Runs what `npm run twinbox --` runs, without the second that npm takes for each command. Everything else is left to npm. Files that
 * commands name are in the folder of the test.
 */
const NPM = `npm() {
  case "$*" in
    'run twinbox -- '*) shift 3; node "$CHECKOUT/apps/cli/bin/twinbox.js" "$@" ;;
    *) command npm --prefix "$CHECKOUT" "$@" ;;
  esac
}
`;

/** Runs commands in bash, as an operator would paste them. */
export class Shell {
  private readonly started = new Set<ChildProcess>();

  constructor(
    private readonly folder: string,
    private readonly variables: Variables,
  ) {}

  /** Runs the commands up to the first that fails. Returns what they print. @throws if they do not end with the exit code */
  async run(commands: string, variables: Variables = {}, exitCode = 0): Promise<string> {
    const { child, output } = this.spawn(`${NPM}set -eu\n${commands}`, variables);
    await once(child, 'close');
    if (child.exitCode !== exitCode)
      throw new Error(`exit code ${child.exitCode} instead of ${exitCode}:\n${commands}\n${output()}`);
    return output();
  }

  /** Starts a program that keeps running. Returns the address that it prints. */
  async start(command: string, variables: Variables = {}): Promise<string> {
    const { child, output } = this.spawn(`${NPM}${command}`, variables);
    this.started.add(child);
    void once(child, 'exit').finally(() => this.started.delete(child));
    const address = () => /http:\/\/127\.0\.0\.1:\d+/.exec(output())?.[0];
    await until(`"${command.trim()}" prints its address`, () => child.exitCode !== null || address());
    const printed = address();
    if (printed === undefined) throw new Error(`"${command.trim()}" has ended:\n${output()}`);
    return printed;
  }

  /** Ends what {@link start} has started. */
  async stop(): Promise<void> {
    for (const child of this.started) {
      const closed = once(child, 'close');
      // Also the processes that npm has started.
      if (child.pid) process.kill(-child.pid, 'SIGKILL');
      await closed;
    }
  }

  private spawn(commands: string, variables: Variables) {
    const child = spawn('bash', ['-c', commands], {
      cwd: this.folder,
      detached: true,
      env: { ...shellEnvironment(), CHECKOUT: root, NO_COLOR: '1', ...this.variables, ...variables },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    return { child, output: () => output };
  }
}
