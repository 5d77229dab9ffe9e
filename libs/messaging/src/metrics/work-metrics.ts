import { type JobCounts } from '../operations/job-counts.js';
import { INCIDENT_KINDS } from '../operations/incident.js';
import { type MetricSet } from './metric-set.js';
import { type Sample } from './sampled-metric.js';
import { type QueueReading } from './work-parts.js';

/** Shown even while no operation of the kind is open. */
const OPERATION_KINDS = ['retry-letters', 'discard-letters', 'retry-jobs', 'discard-jobs', 'replay'];

/** The counts of this process by job queue. */
type QueueCounts = ReadonlyMap<string, Readonly<JobCounts>>;

/** Adds the metrics of jobs, stored operations, pauses and incidents. */
export function addWorkMetrics(metrics: MetricSet, queues: () => QueueCounts, consumers: readonly string[]): void {
  addJobs(metrics, queues);
  addPauses(metrics, queues, consumers);
  metrics.ofTables('messaging_operations', 'Stored operations that have not finished.', ({ operations }) => {
    const idle = OPERATION_KINDS.filter((known) => operations.every(({ kind }) => kind !== known));
    return [...operations, ...idle.map((kind) => ({ kind, state: 'running', count: 0 }))].map(
      ({ kind, state, count }) => ({ labels: { kind, state }, value: count }),
    );
  });
  metrics.ofTables('messaging_incidents_open', 'Incidents that no operator has acknowledged yet.', ({ incidents }) =>
    INCIDENT_KINDS.map((kind) => ({ labels: { kind }, value: incidents[kind] ?? 0 })),
  );
}

function addJobs(metrics: MetricSet, queues: () => QueueCounts): void {
  metrics.counter('messaging_job_attempts_total', 'Attempts of jobs by outcome.', () =>
    [...queues()].flatMap(([queue, { done, failedAttempts, setbacks }]) => [
      { labels: { queue, outcome: 'done' }, value: done },
      { labels: { queue, outcome: 'failed' }, value: failedAttempts },
      { labels: { queue, outcome: 'setback' }, value: setbacks },
    ]),
  );
  const ofQueues = (name: string, help: string, read: (queue: QueueReading) => Sample[]) =>
    metrics.ofTables(name, help, (tables) => tables.queues.flatMap((queue) => read(queue)));
  ofQueues(
    'messaging_jobs',
    'Jobs of the queue that are due, running, waiting for another attempt, or dead.',
    ({ queue, due, running, retrying, dead }) => [
      { labels: { queue, state: 'due' }, value: due },
      { labels: { queue, state: 'running' }, value: running },
      { labels: { queue, state: 'retrying' }, value: retrying },
      { labels: { queue, state: 'dead' }, value: dead },
    ],
  );
  ofQueues(
    'messaging_jobs_oldest_due_age_seconds',
    'How long the longest overdue job of the queue has been due; 0 if there is none.',
    ({ queue, oldestDueSeconds }) => [{ labels: { queue }, value: oldestDueSeconds }],
  );
}

/** Only what this process knows has a label, so that a name in the table that nothing has cannot add one. */
function addPauses(metrics: MetricSet, queues: () => QueueCounts, consumers: readonly string[]): void {
  metrics.ofTables(
    'messaging_paused',
    '1 if an operator has paused the consumer, job queue or relay; otherwise 0.',
    ({ pauses }) => {
      const known = [
        ...consumers.map((name) => ({ kind: 'consumer', name })),
        ...[...queues().keys()].map((name) => ({ kind: 'queue', name })),
        { kind: 'relay', name: 'relay' },
      ];
      return known.map(({ kind, name }) => ({
        labels: { kind, name },
        value: Number(pauses.some((pause) => pause.kind === kind && pause.name === name)),
      }));
    },
  );
}
