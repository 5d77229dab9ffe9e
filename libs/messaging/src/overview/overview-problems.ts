import {
  type ConsumerOverview,
  type MessagingOverview,
  type OverviewProblem,
  type QueueOverview,
  type RelayOverview,
} from './overview-report.js';
import { type StoredOverview } from './overview-store.js';

/** How long a handler or a due job may take before it is reported. */
const STALLED_AFTER_MS = 30_000;

/** What the problems are derived from. */
export interface Found extends Omit<MessagingOverview, 'problems'> {
  readonly stored: Pick<StoredOverview, 'incidents' | 'oldestDead' | 'consumers'>;
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

function ofConsumer(consumer: ConsumerOverview, { at, stored }: Found): OverviewProblem[] {
  const component = `inbox ${consumer.consumer}`;
  const known = stored.consumers.find((of) => of.consumer === consumer.consumer);
  const { paused, group, inFlightSince, deadLetters } = consumer;
  const problems: OverviewProblem[] = [];
  if (paused) problems.push(pausedProblem(component, paused));
  else if (group && group.lag > 0 && group.members === 0)
    problems.push({
      severity: 'failing',
      component,
      problem: `${group.lag} messages wait, and no process consumes ${consumer.topic}`,
      since: known?.settledAt ?? null,
    });
  else if (inFlightSince && at.getTime() - inFlightSince.getTime() > STALLED_AFTER_MS)
    problems.push({
      severity: 'failing',
      component,
      problem: 'A message has been in flight for long',
      since: inFlightSince,
    });
  if (deadLetters > 0) problems.push(deadProblem(component, deadLetters, 'dead letter', known?.oldestDead ?? null));
  return problems;
}

function ofQueue({ queue, paused, due, dueSince, dead }: QueueOverview, { at, stored }: Found): OverviewProblem[] {
  const component = `queue ${queue}`;
  const problems: OverviewProblem[] = [];
  if (paused) problems.push(pausedProblem(component, paused));
  else if (dueSince && at.getTime() - dueSince.getTime() > STALLED_AFTER_MS)
    problems.push({ severity: 'failing', component, problem: `${due} jobs are due and do not run`, since: dueSince });
  if (dead > 0) problems.push(deadProblem(component, dead, 'dead job', stored.oldestDead.jobs[queue] ?? null));
  return problems;
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
