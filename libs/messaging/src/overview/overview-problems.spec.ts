import { type Found, problemsOf } from './overview-problems.js';

const AT = new Date('2026-11-30T12:00:00Z');
const ago = (seconds: number) => new Date(AT.getTime() - seconds * 1000);
const none = { messages: 0, oldestSeconds: 0 };
const PAUSE = { since: ago(600), actor: 'ada', reason: 'upgrade' };

const relay: Found['relay'] = {
  state: 'leading',
  holder: 'r',
  leasedUntil: ago(-3),
  fencingToken: '7',
  paused: null,
  unpublished: { ready: none, held: none, blocked: none },
  gaps: 0,
  deadLetters: 0,
  publishedPerSecond: 0,
};
const consumer: Found['consumers'][number] = {
  consumer: 'payments',
  topic: 'order.events',
  paused: null,
  group: { lag: 0, partitions: [], state: 'Stable', members: 1 },
  inFlight: 0,
  inFlightSince: null,
  parked: 0,
  oldestParkedSeconds: 0,
  deadLetters: 0,
  processedPerSecond: 0,
};
const queue: Found['queues'][number] = {
  queue: 'gateway',
  paused: null,
  due: 0,
  dueSince: null,
  running: 0,
  retrying: 0,
  scheduled: 0,
  dead: 0,
};
const settled = {
  consumer: 'payments',
  inFlight: 0,
  inFlightSince: null,
  processedPerSecond: 0,
  oldestDead: ago(50),
  settledAt: ago(70),
};

function aFound(changes: Partial<Found> = {}): Found {
  const stored = { incidents: [], oldestDead: { outbox: ago(40), jobs: { gateway: ago(45) } }, consumers: [settled] };
  return {
    at: AT,
    relay,
    consumers: [consumer],
    queues: [queue],
    kafkaProblem: null,
    overdueAfterMs: 30_000,
    stored,
    ...changes,
  };
}

it('finds nothing wrong with work that proceeds', () => {
  expect(problemsOf(aFound({ consumers: [{ ...consumer, inFlight: 3, inFlightSince: ago(29) }] }))).toEqual([]);
});

it.each<[string, Partial<Found>, object]>([
  [
    'no leader',
    { relay: { ...relay, state: 'none', leasedUntil: ago(9) } },
    { severity: 'failing', component: 'relay', since: ago(9) },
  ],
  [
    'messages that are overdue',
    { relay: { ...relay, unpublished: { ...relay.unpublished, ready: { messages: 2, oldestSeconds: 31 } } } },
    {
      severity: 'failing',
      component: 'outbox',
      since: ago(31),
      problem: 'The oldest unpublished message has waited for 31 s',
    },
  ],
  [
    'a blocked topic',
    { relay: { ...relay, unpublished: { ...relay.unpublished, blocked: { messages: 2, oldestSeconds: 3 } } } },
    { severity: 'failing', component: 'outbox', since: ago(3) },
  ],
  [
    'dead letters of the outbox',
    { relay: { ...relay, deadLetters: 1 } },
    { severity: 'attention', problem: '1 dead letter', since: ago(40) },
  ],
  [
    'a consumer without members that is behind',
    { consumers: [{ ...consumer, group: { lag: 4, partitions: [], state: 'Empty', members: 0 } }] },
    { severity: 'failing', component: 'inbox payments', since: ago(70) },
  ],
  [
    'a handler that does not end',
    { consumers: [{ ...consumer, inFlight: 1, inFlightSince: ago(31) }] },
    { severity: 'failing', component: 'inbox payments', since: ago(31) },
  ],
  [
    'dead letters of a consumer',
    { consumers: [{ ...consumer, deadLetters: 2 }] },
    { severity: 'attention', problem: '2 dead letters', since: ago(50) },
  ],
  [
    'jobs that do not run',
    { queues: [{ ...queue, due: 5, dueSince: ago(31) }] },
    { severity: 'failing', component: 'queue gateway', since: ago(31) },
  ],
  ['dead jobs', { queues: [{ ...queue, dead: 1 }] }, { severity: 'attention', problem: '1 dead job', since: ago(45) }],
  [
    'a Kafka that does not answer',
    { kafkaProblem: 'timed out' },
    { severity: 'failing', component: 'kafka', since: null },
  ],
])('reports %s, and since when', (_, changes, problem) => {
  expect(problemsOf(aFound(changes))).toEqual([expect.objectContaining(problem)]);
});

it('reports what is paused as paused, and not as failing', () => {
  const overdue = { ...relay.unpublished, ready: { messages: 2, oldestSeconds: 100 } };

  const problems = problemsOf(
    aFound({
      relay: { ...relay, state: 'none', paused: PAUSE, unpublished: overdue },
      consumers: [{ ...consumer, paused: PAUSE, group: { lag: 4, partitions: [], state: 'Empty', members: 0 } }],
      queues: [{ ...queue, paused: PAUSE, due: 5, dueSince: ago(100) }],
    }),
  );

  expect(problems).toEqual(
    ['relay', 'inbox payments', 'queue gateway'].map((component) => ({
      severity: 'paused',
      component,
      problem: 'Paused by ada: upgrade',
      since: PAUSE.since,
    })),
  );
});

it('does not expect a relay where something else publishes', () => {
  const overdue = { ...relay.unpublished, ready: { messages: 2, oldestSeconds: 100 } };

  expect(
    problemsOf(aFound({ overdueAfterMs: false, relay: { ...relay, state: 'none', unpublished: overdue } })),
  ).toEqual([]);
});

it('lists what fails first', () => {
  const problems = problemsOf(aFound({ queues: [{ ...queue, paused: PAUSE, dead: 1 }], kafkaProblem: 'timed out' }));

  expect(problems.map(({ severity }) => severity)).toEqual(['failing', 'attention', 'paused']);
});
