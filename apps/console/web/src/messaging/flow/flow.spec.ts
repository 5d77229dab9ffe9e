import { type Flow, flowOf, type Stage } from './flow.js';
import { aConsumer, anOverview, aQueue } from './overview.fixtures.js';

const NO_TREND = { writtenPerSecond: null, consumers: {} };
const SINCE = '2026-12-01T07:00:00.000Z';

const stageOf = ({ publishing, consuming, jobs }: Flow, kind: Stage['kind']): Stage | undefined =>
  [publishing, ...consuming, ...(jobs ? [jobs] : [])].flatMap(({ stages }) => stages).find((one) => one.kind === kind);

describe('the picture of a service', () => {
  it('follows messages from a write to Kafka, and from Kafka to the handlers', () => {
    const { publishing, consuming, jobs } = flowOf(anOverview(), NO_TREND);

    expect(publishing.stages.map(({ kind }) => kind)).toEqual(['writes', 'outbox', 'relay', 'topic']);
    expect(consuming.map(({ stages }) => stages.map(({ kind }) => kind))).toEqual([['topic', 'inbox', 'handlers']]);
    expect(jobs?.stages.map(({ title }) => title)).toEqual(['charge']);
  });

  it('is healthy everywhere while nothing waits', () => {
    const { publishing, consuming, jobs } = flowOf(anOverview(), NO_TREND);

    const all = [publishing, ...consuming, jobs!].flatMap(({ stages }) => stages);
    expect(new Set(all.map(({ health }) => health))).toEqual(new Set(['ok']));
  });

  it('shows rates with a decimal while they are low', () => {
    const flow = flowOf(anOverview({ publishedPerSecond: 0.25 }), { writtenPerSecond: 1234.4, consumers: {} });

    expect(stageOf(flow, 'relay')?.figure).toBe('0.3/s');
    expect(stageOf(flow, 'writes')?.figure).toBe('1,234/s');
  });

  it('puts a problem on its stage, with the earliest time since when', () => {
    const problems = [
      { severity: 'attention', component: 'outbox', problem: '2 dead letters', since: SINCE },
      { severity: 'failing', component: 'outbox', problem: 'blocked', since: '2026-12-01T07:30:00.000Z' },
    ] as const;
    const flow = flowOf(anOverview({ deadLetters: 2 }, { problems: [...problems] }), NO_TREND);

    expect(stageOf(flow, 'outbox')).toMatchObject({ health: 'failing', since: SINCE });
    expect(stageOf(flow, 'relay')).toMatchObject({ health: 'ok', since: null });
  });

  it('keeps the problems of two consumers apart', () => {
    const problems = [{ severity: 'failing', component: 'inbox b', problem: 'nobody consumes', since: null } as const];
    const consumers = [aConsumer({ consumer: 'a' }), aConsumer({ consumer: 'b' })];
    const { consuming } = flowOf(anOverview({}, { consumers, problems }), NO_TREND);

    expect(consuming.map(({ stages }) => stages[1]?.health)).toEqual(['ok', 'failing']);
  });

  it('marks a handler that has worked on a message for more than 30 s, since when', () => {
    const consumers = [aConsumer({ inFlight: 1, inFlightSince: SINCE })];
    const flow = flowOf(anOverview({}, { consumers }), NO_TREND);

    expect(stageOf(flow, 'handlers')).toMatchObject({ health: 'failing', since: SINCE });
  });

  it('says that the lag is unknown while Kafka does not answer', () => {
    const consumers = [aConsumer({ group: null })];
    const problems = [{ severity: 'failing', component: 'kafka', problem: 'timeout', since: null } as const];
    const flow = flowOf(anOverview({}, { consumers, kafkaProblem: 'timeout', problems }), NO_TREND);

    expect(flow.publishing.stages.at(-1)).toMatchObject({ figure: 'no answer', health: 'failing' });
    expect(flow.consuming[0]?.stages[0]).toMatchObject({ figure: 'lag unknown', health: 'failing' });
  });

  it('says how many messages of a consumer are overdue', () => {
    const group = { lag: 90, overdue: 12, partitions: [], state: 'Stable', members: 1 };
    const flow = flowOf(anOverview({}, { consumers: [aConsumer({ group })] }), NO_TREND);

    expect(flow.consuming[0]?.stages[0]).toMatchObject({ figure: 'lag 90', facts: [{ text: '12 older than 30 s' }] });
  });

  it('shows what is paused as paused rather than as failing', () => {
    const paused = { since: SINCE, actor: 'ann', reason: 'The provider is down.' };
    const problems = [
      { severity: 'paused', component: 'queue charge', problem: 'Paused by ann', since: SINCE } as const,
    ];
    const flow = flowOf(anOverview({}, { queues: [aQueue({ paused, due: 3 })], problems }), NO_TREND);

    expect(stageOf(flow, 'queue')).toMatchObject({ figure: '3 due', health: 'paused', since: SINCE });
  });

  it('leaves out the jobs of a service that has no queues', () => {
    expect(flowOf(anOverview({}, { queues: [] }), NO_TREND).jobs).toBeUndefined();
  });
});
