import { setTimeout as pause } from 'node:timers/promises';
import { type Operation } from '@twinbox/client/admin';
import { type Session } from './cli.js';
import { type ServiceName } from './connection.js';
import { CommandFailed, failureOf, Interrupted } from './failures.js';
import { fields, time, totalOf } from './text.js';

const POLL_MS = 500;

/** As often as there is time for, because the service may restart while the operation runs. */
const ATTEMPTS = 1000;

/** Shows the progress of an operation until it has ended. The result is whether it succeeded. */
export async function follow(session: Session, service: ServiceName, started: Operation): Promise<boolean> {
  const { terminal, connections, signal } = session;
  const admin = connections.admin(service);
  let operation = started;
  try {
    while (operation.finishedAt === null) {
      terminal.progress(progressOf(operation));
      await pause(POLL_MS, undefined, { signal });
      operation = await admin.getOperation({ id: operation.id }, { attempts: ATTEMPTS });
    }
  } catch (error) {
    const reason = failureOf(signal.aborted ? new Interrupted() : error).text;
    const reference = `${service}/${operation.id}`;
    throw new CommandFailed(
      `${reason}\nThe operation continues. Follow it with "twinbox operations show --watch ${reference}", or stop it with "twinbox ` +
        `operations cancel ${reference}".`,
      { cause: error },
    );
  }
  return operationResult(session, service, operation);
}

function progressOf(operation: Operation): string {
  const { kind, done, failed, waitingFor } = operation;
  const further = [failed > 0 && `${failed} failed`, waitingFor > 0 && `waiting for ${waitingFor}`];
  return `${[`${kind}: ${done} of ${totalOf(operation)}`, ...further.filter(Boolean)].join(', ')} …`;
}

/** Prints an operation. The result is whether it succeeded, as far as it is known. */
export function operationResult({ terminal }: Session, service: ServiceName, operation: Operation): boolean {
  const { id, kind, state, filter, asOf, done, failed, problem, actor, reason, createdAt, finishedAt } = operation;
  terminal.result({ service, ...operation }, () =>
    fields(terminal, {
      operation: `${service}/${id}`,
      kind,
      state: problem === null ? state : `${state}: ${problem}`,
      done: `${done} of ${totalOf(operation)}${failed > 0 ? `, ${failed} failed` : ''}`,
      filter,
      'as of': time(asOf),
      actor,
      reason,
      created: time(createdAt),
      finished: time(finishedAt),
    }),
  );
  return finishedAt === null || (failed === 0 && state === 'done');
}
