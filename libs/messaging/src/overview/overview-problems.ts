import {
  type ConsumerOverview,
  type LatestFailure,
  type MessagingOverview,
  type OverviewProblem,
  type QueueOverview,
  type RelayOverview,
} from './overview-report.js';
import { type StoredOverview } from './overview-store.js';

/** How long messages, jobs and operations may make no progress before they are reported. */
export const STALLED_AFTER_MS = 30_000;

/** What the problems are derived from. */
export interface Found extends Omit<MessagingOverview, 'problems'> {
  readonly stored: Pick<StoredOverview, 'incidents' | 'oldestDead' | 'consumers' | 'operations'>;
  /** What the consumers of this process fail at, by group. The tables do not have it if the database itself refuses the inbox. */
  readonly ownErrors: ReadonlyMap<string, string>;
  /** How long a message may wait unpublished; false if something other than the relay publishes. */
  readonly overdueAfterMs: number | false;
}

/** Lists what needs an operator, the most severe first. */
export function problemsOf(found: Found): OverviewProblem[] {
  const problems = [
    ...ofKafka(found),
    ...ofRelay(found),
    ...found.consumers.flatMap((consumer) => ofConsumer(consumer, found)),
    ...found.queues.flatMap((queue) => ofQueue(queue, found)),
    ...ofOperations(found),
    ...found.stored.incidents.map(({ kind, subject, problem, firstAt }): OverviewProblem => ({
      severity: 'failing',
      component: 'incidents',
      problem: `${kind} on ${subject}: ${problem}`,
      since: new Date(firstAt),
    })),
  ];
  const severities: readonly OverviewProblem['severity'][] = ['failing', 'attention', 'paused'];
  return severities.flatMap((severity) => problems.filter((problem) => problem.severity === severity));
}

function ofKafka({ kafkaProblem }: Found): OverviewProblem[] {
  return kafkaProblem === null
    ? []
    : [{ severity: 'failing', component: 'kafka', problem: `Kafka does not answer: ${kafkaProblem}`, since: null }];
}

function ofRelay({ at, relay, stored, overdueAfterMs }: Found): OverviewProblem[] {
  const { paused, unpublished } = relay;
  const problems: OverviewProblem[] = [];
  const { ready, blocked } = unpublished;
  if (paused) problems.push(pausedProblem('relay', paused));
  else if (overdueAfterMs !== false)
    problems.push(...ofLease(relay), ...ofOverdue(at, ready.oldestSeconds, overdueAfterMs));
  if (blocked.messages > 0)
    problems.push({
      severity: 'failing',
      component: 'outbox',
      problem: `${blocked.messages} messages wait because Kafka rejects their topic`,
      since: agoOf(at, blocked.oldestSeconds),
    });
  if (relay.deadLetters > 0)
    problems.push(deadProblem('outbox', relay.deadLetters, 'dead letter', stored.oldestDead.outbox));
  return problems;
}

function ofLease({ state, leasedUntil }: RelayOverview): OverviewProblem[] {
  if (state === 'leading') return [];
  return [
    {
      severity: 'failing',
      component: 'relay',
      problem: 'No process publishes: none holds the lease',
      since: leasedUntil,
    },
  ];
}

function ofOverdue(at: Date, oldestSeconds: number, overdueAfterMs: number): OverviewProblem[] {
  if (oldestSeconds * 1000 <= overdueAfterMs) return [];
  const problem = `The oldest unpublished message has waited for ${Math.round(oldestSeconds)} s`;
  return [{ severity: 'failing', component: 'outbox', problem, since: agoOf(at, oldestSeconds) }];
}

function ofConsumer(consumer: ConsumerOverview, { at, stored, ownErrors }: Found): OverviewProblem[] {
  const component = `inbox ${consumer.consumer}`;
  const known = stored.consumers.find((of) => of.consumer === consumer.consumer);
  const { paused, deadLetters, parked, oldestParkedSeconds, latestFailure } = consumer;
  const ownError = ownErrors.get(consumer.consumer);
  const problems: OverviewProblem[] = [];
  const failing = (problem: string, since: Date | null) =>
    problems.push({ severity: 'failing', component, problem, since });
  if (paused) problems.push(pausedProblem(component, paused));
  else {
    const stall = stallOf(consumer, known?.settledAt ?? null, at);
    if (stall)
      failing(stall.problem + because(ownError === undefined ? latestFailure : { error: ownError }), stall.since);
    else if (ownError !== undefined)
      failing(`No progress in the process that answers. The latest error: ${ownError}`, null);
    if (known && isLongAgo(known.dueSince, at))
      failing(`${known.due} parked messages are due and are not attempted${because(latestFailure)}`, known.dueSince);
    else if (latestFailure && oldestParkedSeconds * 1000 > STALLED_AFTER_MS)
      problems.push({
        severity: 'attention',
        component,
        problem: `${parked} messages wait because attempts fail${because(latestFailure)}`,
        since: agoOf(at, oldestParkedSeconds),
      });
  }
  if (deadLetters > 0) problems.push(deadProblem(component, deadLetters, 'dead letter', known?.oldestDead ?? null));
  return problems;
}

/** Returns why the consumer does not read or handle messages; undefined if it does, as far as the tables and Kafka can tell. */
function stallOf(
  { group, topic, inFlightSince }: ConsumerOverview,
  settledAt: Date | null,
  at: Date,
): Pick<OverviewProblem, 'problem' | 'since'> | undefined {
  if (group && group.lag > 0 && group.members === 0)
    return { problem: `${group.lag} messages wait, and no process consumes ${topic}`, since: settledAt };
  if (isLongAgo(inFlightSince, at)) return { problem: 'A message has been in flight for long', since: inFlightSince };
  // A message that has just arrived after a long silence is not overdue.
  if (group && group.overdue > 0 && !inFlightSince && (settledAt === null || isLongAgo(settledAt, at)))
    return {
      problem: `${group.overdue} messages of ${topic} are overdue, and its ${group.members} members handle none`,
      since: settledAt,
    };
  return undefined;
}

function ofQueue(
  { queue, paused, due, dueSince, dead, latestFailure }: QueueOverview,
  { at, stored }: Found,
): OverviewProblem[] {
  const component = `queue ${queue}`;
  const problems: OverviewProblem[] = [];
  if (paused) problems.push(pausedProblem(component, paused));
  else if (isLongAgo(dueSince, at))
    problems.push({
      severity: 'failing',
      component,
      problem: `${due} jobs are due and do not run${because(latestFailure)}`,
      since: dueSince,
    });
  if (dead > 0) problems.push(deadProblem(component, dead, 'dead job', stored.oldestDead.jobs[queue] ?? null));
  return problems;
}

/** An operation keeps its problem until a step succeeds. */
function ofOperations({ at, relay, stored }: Found): OverviewProblem[] {
  return stored.operations
    .filter(({ since }) => isLongAgo(since, at))
    .map(({ id, kind, problem, since }) => ({
      severity: kind === 'replay' && relay.paused ? 'paused' : 'failing',
      component: 'operations',
      problem: `${kind} ${id} does not proceed: ${problem}`,
      since,
    }));
}

function isLongAgo(time: Date | null, at: Date): boolean {
  return time !== null && at.getTime() - time.getTime() > STALLED_AFTER_MS;
}

function because(failure: Pick<LatestFailure, 'error'> | null): string {
  return failure === null ? '' : `. The latest error: ${failure.error}`;
}

function pausedProblem(
  component: string,
  { actor, reason, since }: NonNullable<RelayOverview['paused']>,
): OverviewProblem {
  const problem = `Paused by ${actor}${reason === null ? '' : `: ${reason}`}`;
  return { severity: 'paused', component, problem, since };
}

function deadProblem(component: string, count: number, what: string, since: Date | null): OverviewProblem {
  return { severity: 'attention', component, problem: `${count} ${what}${count === 1 ? '' : 's'}`, since };
}

function agoOf(at: Date, seconds: number): Date {
  return new Date(at.getTime() - Math.round(seconds * 1000));
}
