import { TwinboxConnectionError, TwinboxProblem } from '@twinbox/client';
import { type Session } from './cli.js';
import { type ServiceName } from './connection.js';
import { failureOf, ServicesFailed } from './failures.js';
import { plain } from './safe-text.js';
import { type Terminal } from './terminal.js';

/** What the services answer to one command, and why they do not. One that fails does not hide what the other one has answered. */
export class Answers {
  private readonly failures = new Map<ServiceName, unknown>();
  private hasAnswer = false;

  constructor(private readonly terminal: Terminal) {}

  /** Whether every service has answered so far. */
  get areComplete(): boolean {
    return this.failures.size === 0;
  }

  /**
   * Returns an answer of a service, or undefined if it refuses or cannot be reached.
   * @throws an error that is fatal for the whole command, and any other error, such as an interruption
   */
  async from<T>(
    service: ServiceName,
    ask: () => Promise<T>,
    isFatal: (error: unknown) => boolean = () => false,
  ): Promise<T | undefined> {
    try {
      const answer = await ask();
      this.hasAnswer = true;
      return answer;
    } catch (error) {
      const isFailure = error instanceof TwinboxProblem || error instanceof TwinboxConnectionError;
      if (!isFailure || isFatal(error)) throw error;
      if (!this.failures.has(service)) this.failures.set(service, error);
      return undefined;
    }
  }

  /** Returns why a service has not answered. */
  failureTextOf(service: ServiceName): string {
    return plain(failureOf(this.failures.get(service)).text);
  }

  /**
   * Prints what was answered, and the failures on the standard error and, with `--json`, as `errors`. The result is whether every service
   * has answered. @throws ServicesFailed if none has, unless that is a result too
   */
  print(value: object, render: () => string, { isResult = this.hasAnswer || this.areComplete } = {}): boolean {
    // In the same order whichever has failed first.
    const inOrder = new Map([...this.failures].toSorted(([one], [other]) => one.localeCompare(other)));
    if (!isResult) throw new ServicesFailed(inOrder);
    const failures = [...inOrder].map(([service, error]) => ({ service, failure: failureOf(error) }));
    const errors = failures.map(({ service, failure }) => ({ service, ...failure.problem }));
    this.terminal.result(errors.length > 0 ? { ...value, errors } : value, render);
    for (const { service, failure } of failures)
      this.terminal.failure({ ...failure, text: `The answer of ${service} is missing. ${failure.text}` });
    return failures.length === 0;
  }
}

/** Asks services at once. */
export async function answersOf<T>(
  { terminal, connections }: Session,
  services: readonly ServiceName[],
  ask: (admin: ReturnType<Session['connections']['admin']>, service: ServiceName) => Promise<T>,
): Promise<{ readonly answers: Answers; readonly found: readonly T[] }> {
  const answers = new Answers(terminal);
  const found = await Promise.all(
    services.map((service) => answers.from(service, async () => ask(connections.admin(service), service))),
  );
  return { answers, found: found.filter((one) => one !== undefined) as T[] };
}
