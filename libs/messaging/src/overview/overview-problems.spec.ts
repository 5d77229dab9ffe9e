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
  group: { lag: 0, overdue: 0, partitions: [], state: 'Stable', members: 1 },
  inFlight: 0,
  inFlightSince: null,
  parked: 0,
  oldestParkedSeconds: 0,
  latestFailure: null,
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
  latestFailure: null,
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
  latestFailure: null,
  due: 0,
  dueSince: null,
};
const behind = { lag: 4, overdue: 3, partitions: [], state: 'Stable', members: 2 };
const failure = { at: ago(2), error: 'Error: the gateway is away' };
const ownErrors = new Map([['payments', 'permission denied for table inbox']]);
const replay = { id: '7', kind: 'replay', problem: 'The relay is paused', since: ago(31) };

function storedBy(changes: Partial<Found['stored']>): Found['stored'] {
  const oldestDead = { outbox: ago(40), jobs: { gateway: ago(45) } };
  return { incidents: [], oldestDead, consumers: [settled], operations: [], ...changes };
}

function aFound(changes: Partial<Found> = {}): Found {
  const stored = storedBy({});
  return {
    at: AT,
    relay,
    consumers: [consumer],
    queues: [queue],
    kafkaProblem: null,
    ownErrors: new Map(),
    overdueAfterMs: 30_000,
    stored,
    ...changes,
  };
}

it.each<[string, Partial<Found>]>([
  ['handlers that run', { consumers: [{ ...consumer, inFlight: 3, inFlightSince: ago(29) }] }],
  ['a message that has just arrived', { consumers: [{ ...consumer, group: { ...behind, overdue: 0 } }] }],
  ['a backlog in progress', { consumers: [{ ...consumer, group: behind, inFlight: 1, inFlightSince: ago(1) }] }],
  [
    'a backlog between two batches',
    {
      consumers: [{ ...consumer, group: behind }],
      stored: storedBy({ consumers: [{ ...settled, settledAt: ago(1) }] }),
    },
  ],
  ['a retry that is just due', { stored: storedBy({ consumers: [{ ...settled, due: 1, dueSince: ago(29) }] }) }],
  ['a message that failed once', { consumers: [{ ...consumer, oldestParkedSeconds: 29, latestFailure: failure }] }],
  ['an operation that failed once', { stored: storedBy({ operations: [{ ...replay, since: ago(29) }] }) }],
])('finds nothing wrong with work that proceeds: %s', (_, changes) => {
  expect(problemsOf(aFound(changes))).toEqual([]);
});

it('reports a replay that waits for a paused relay as paused', () => {
  const paused = { relay: { ...relay, paused: PAUSE }, stored: storedBy({ operations: [replay] }) };

  const [, waiting] = problemsOf(aFound(paused));

  expect(waiting).toMatchObject({ severity: 'paused', component: 'operations', since: ago(31) });
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
    { consumers: [{ ...consumer, group: { lag: 4, overdue: 4, partitions: [], state: 'Empty', members: 0 } }] },
    { severity: 'failing', component: 'inbox payments', since: ago(70) },
  ],
  [
    'a handler that does not end',
    { consumers: [{ ...consumer, inFlight: 1, inFlightSince: ago(31) }] },
    { severity: 'failing', component: 'inbox payments', since: ago(31) },
  ],
  [
    'a handler that does not end, and why it fails',
    { consumers: [{ ...consumer, inFlight: 1, inFlightSince: ago(31), latestFailure: failure }] },
    { problem: 'A message has been in flight for long. The latest error: Error: the gateway is away' },
  ],
  [
    'overdue messages that no member handles',
    { consumers: [{ ...consumer, group: behind }] },
    {
      severity: 'failing',
      component: 'inbox payments',
      problem: '3 messages of order.events are overdue, and its 2 members handle none',
      since: ago(70),
    },
  ],
  [
    'the same of a consumer that has never handled any',
    {
      consumers: [{ ...consumer, group: behind }],
      stored: storedBy({ consumers: [{ ...settled, settledAt: null }] }),
    },
    { severity: 'failing', component: 'inbox payments', since: null },
  ],
  [
    'parked messages that are due and not attempted',
    { stored: storedBy({ consumers: [{ ...settled, due: 5, dueSince: ago(31) }] }) },
    {
      severity: 'failing',
      component: 'inbox payments',
      problem: '5 parked messages are due and are not attempted',
      since: ago(31),
    },
  ],
  [
    'messages that wait because attempts fail',
    { consumers: [{ ...consumer, parked: 6, oldestParkedSeconds: 40, latestFailure: failure }] },
    {
      severity: 'attention',
      component: 'inbox payments',
      problem: '6 messages wait because attempts fail. The latest error: Error: the gateway is away',
      since: ago(40),
    },
  ],
  [
    'an operation that keeps failing',
    { stored: storedBy({ operations: [{ ...replay, problem: 'Error: no leader' }] }) },
    {
      severity: 'failing',
      component: 'operations',
      problem: 'replay 7 does not proceed: Error: no leader',
      since: ago(31),
    },
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
    'a consumer that the database refuses',
    { consumers: [{ ...consumer, group: behind }], ownErrors },
    {
      severity: 'failing',
      problem: expect.stringMatching(/handle none\. The latest error: permission denied for table inbox$/),
      since: ago(70),
    },
  ],
  [
    'a consumer that the database has just begun to refuse',
    { ownErrors },
    {
      severity: 'failing',
      component: 'inbox payments',
      problem: 'No progress in the process that answers. The latest error: permission denied for table inbox',
      since: null,
    },
  ],
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
      consumers: [
        { ...consumer, paused: PAUSE, group: { lag: 4, overdue: 4, partitions: [], state: 'Empty', members: 0 } },
      ],
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
