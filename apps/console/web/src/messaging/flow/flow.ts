import {
  type ConsumerOverview,
  type MessagingOverview,
  type OverviewProblem,
  type QueueOverview,
} from '@twinbox/client/admin';
import { type ConsumerTrend, type Trend } from './readings.js';

/** `failing`: work does not proceed. `attention`: something waits for an operator. `waiting`: work is under way. */
export type Health = 'ok' | 'waiting' | 'paused' | 'attention' | 'failing';

export interface Fact {
  readonly text: string;
  readonly health: Health;
}

/** One box of the picture. */
export interface Stage {
  readonly kind: 'writes' | 'outbox' | 'relay' | 'topic' | 'inbox' | 'handlers' | 'queue';
  readonly title: string;
  /** The number that matters most here. */
  readonly figure: string;
  readonly facts: readonly Fact[];
  readonly health: Health;
  /** Since when it is not healthy; null if it is, or if that is not known. */
  readonly since: string | null;
}

/** One row of the picture, in the order in which messages pass. */
export interface Lane {
  readonly name: string;
  readonly stages: readonly Stage[];
  /** Whether messages have passed within the last minute. */
  readonly isMoving: boolean;
}

export interface Flow {
  readonly publishing: Lane;
  readonly consuming: readonly Lane[];
  readonly jobs: Lane | undefined;
}

/** From the best to the worst. */
const ORDER: readonly Health[] = ['ok', 'waiting', 'paused', 'attention', 'failing'];

/** Turns an overview into the picture of one service. */
export function flowOf(overview: MessagingOverview, trend: Trend): Flow {
  const { consumers, queues } = overview;
  return {
    publishing: publishing(overview, trend),
    consuming: consumers.map((consumer) => consuming(consumer, overview, trend.consumers[consumer.consumer])),
    jobs:
      queues.length === 0
        ? undefined
        : {
            name: 'Jobs',
            stages: queues.map((queue) => jobs(queue, overview)),
            isMoving: queues.some(({ running }) => running > 0),
          },
  };
}

function publishing({ relay, problems, kafkaProblem }: MessagingOverview, { writtenPerSecond }: Trend): Lane {
  const { ready, held, blocked } = relay.unpublished;
  const rate = perSecond(relay.publishedPerSecond);
  const outbox = stage('outbox', 'Outbox', `${count(ready.messages)} waiting`, of(problems, 'outbox'), [
    ready.messages > 0 && fact(`oldest for ${seconds(ready.oldestSeconds)}`, 'waiting'),
    held.messages > 0 && fact(`${count(held.messages)} held by dead letters`, 'attention'),
    blocked.messages > 0 && fact(`${count(blocked.messages)} rejected by Kafka`, 'failing'),
    relay.deadLetters > 0 && fact(counted(relay.deadLetters, 'dead letter'), 'attention'),
    relay.gaps > 0 && fact(`${counted(relay.gaps, 'transaction')} not committed yet`, 'waiting'),
  ]);
  const stages = [
    stage('writes', 'Writes', writtenPerSecond === null ? 'measuring' : perSecond(writtenPerSecond), [], []),
    outbox,
    stage('relay', 'Relay', rate, of(problems, 'relay'), [
      relay.paused !== null && fact('paused', 'paused'),
      relay.state === 'none' && relay.paused === null && fact('no process publishes', 'failing'),
    ]),
    stage('topic', 'Own topic', kafkaProblem === null ? rate : 'no answer', of(problems, 'kafka'), []),
  ];
  return { name: 'Publishing', stages, isMoving: relay.publishedPerSecond > 0 };
}

/** A handler that takes longer is reported. The service uses the same time. */
const STALLED_MS = 30_000;

function consuming(consumer: ConsumerOverview, { at, problems }: MessagingOverview, trend?: ConsumerTrend): Lane {
  const { topic, group, paused, parked, oldestParkedSeconds, deadLetters, inFlight, inFlightSince } = consumer;
  const isStalled = inFlightSince !== null && Date.parse(at) - Date.parse(inFlightSince) > STALLED_MS;
  const own = of(problems, `inbox ${consumer.consumer}`);
  const stages = [
    stage('topic', topic, group === null ? 'lag unknown' : `lag ${count(group.lag)}`, of(problems, 'kafka'), [
      group !== null && group.overdue > 0 && fact(`${count(group.overdue)} older than 30 s`, 'waiting'),
      trend !== undefined &&
        trend.arrivingPerSecond > 0 &&
        fact(`${perSecond(trend.arrivingPerSecond)} arriving`, 'ok'),
      typeof trend?.caughtUpInSeconds === 'number' &&
        fact(`caught up in ${seconds(trend.caughtUpInSeconds)}`, 'waiting'),
    ]),
    stage('inbox', 'Inbox', `${count(parked)} parked`, own, [
      parked > 0 && fact(`oldest for ${seconds(oldestParkedSeconds)}`, 'waiting'),
      deadLetters > 0 && fact(counted(deadLetters, 'dead letter'), 'attention'),
      paused !== null && fact('paused', 'paused'),
      group?.members === 0 && paused === null && fact('no process consumes', group.lag > 0 ? 'failing' : 'waiting'),
    ]),
    stage(
      'handlers',
      'Handlers',
      perSecond(consumer.processedPerSecond),
      [],
      [inFlight > 0 && fact(`${count(inFlight)} in flight`, isStalled ? 'failing' : 'waiting')],
    ),
  ].map((one) => (one.kind === 'handlers' && isStalled ? { ...one, since: inFlightSince } : one));
  return { name: consumer.consumer, stages, isMoving: consumer.processedPerSecond > 0 };
}

function jobs(queue: QueueOverview, { problems }: MessagingOverview): Stage {
  const { due, running, retrying, scheduled, dead, paused } = queue;
  return stage('queue', queue.queue, `${count(due)} due`, of(problems, `queue ${queue.queue}`), [
    running > 0 && fact(`${count(running)} running`, 'waiting'),
    retrying > 0 && fact(`${count(retrying)} to be retried`, 'waiting'),
    scheduled > 0 && fact(`${count(scheduled)} scheduled`, 'ok'),
    dead > 0 && fact(counted(dead, 'dead job'), 'attention'),
    paused !== null && fact('paused', 'paused'),
  ]);
}

function stage(
  kind: Stage['kind'],
  title: string,
  figure: string,
  problems: readonly OverviewProblem[],
  facts: readonly (Fact | false)[],
): Stage {
  const shown = facts.filter((one) => one !== false);
  const health = worst([...shown.map((one) => one.health), ...problems.map(({ severity }) => severity)]);
  const since = problems.map((problem) => problem.since).filter((time) => time !== null);
  return { kind, title, figure, facts: shown, health, since: since.sort()[0] ?? null };
}

export function worst(healths: readonly Health[]): Health {
  return ORDER[Math.max(0, ...healths.map((health) => ORDER.indexOf(health)))] ?? 'ok';
}

const of = (problems: readonly OverviewProblem[], component: string) =>
  problems.filter((problem) => problem.component === component);
const fact = (text: string, health: Health): Fact => ({ text, health });
export const count = (n: number): string => n.toLocaleString('en');
export const counted = (n: number, noun: string): string => `${count(n)} ${noun}${n === 1 ? '' : 's'}`;
export const perSecond = (rate: number): string =>
  `${rate > 0 && rate < 9.95 ? rate.toFixed(1) : count(Math.round(rate))}/s`;

/** Shortens a duration to its largest unit, such as `45 s` or `3 h`. */
export function seconds(duration: number): string {
  if (duration < 90) return `${Math.round(duration)} s`;
  if (duration < 90 * 60) return `${Math.round(duration / 60)} min`;
  return duration < 48 * 3600 ? `${Math.round(duration / 3600)} h` : `${Math.round(duration / 86_400)} d`;
}
