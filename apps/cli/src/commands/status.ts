import { type Command } from 'commander';
import {
  type ConsumerOverview,
  type MessagingOverview,
  type QueueOverview,
  type RelayOverview,
} from '@twinbox/client/admin';
import { Answers } from '../answers.js';
import { type Cli, type Session } from '../cli.js';
import { type ServiceName } from '../connection.js';
import { serviceOption } from '../lists.js';
import { servicesOf } from '../reference.js';
import { type Terminal } from '../terminal.js';
import { cell, type Column, duration, fields, Styled, table, time } from '../text.js';

export function addStatus(program: Command, cli: Cli): void {
  program
    .command('status')
    .description('show the relay, consumers and job queues, and what is unhealthy')
    .addOption(serviceOption())
    .option('--check', 'end with 1 if something is failing')
    .action(cli.action(status));
}

interface StatusOptions {
  readonly service?: ServiceName;
  readonly check?: boolean;
}

/** Shows the services that answer. Fails if one does not, or with `--check` if one has something that is failing. */
async function status({ terminal, connections }: Session, { service, check = false }: StatusOptions): Promise<boolean> {
  const answers = new Answers(terminal);
  const services = await Promise.all(
    servicesOf(service).map(async (service) => ({
      service,
      overview: await answers.from(service, async () => connections.admin(service).getMessagingOverview()),
    })),
  );
  const shown = services.map(({ service, overview }) => ({ service, ...overview }));
  const text = () =>
    services
      .map(({ service, overview }) => {
        const text = overview
          ? overviewText(terminal, overview)
          : terminal.styled('red', answers.failureTextOf(service));
        return `${terminal.styled('bold', service)}\n${text.replaceAll(/^(?=.)/gm, '  ')}`;
      })
      .join('\n\n');
  // That a service does not answer is part of its state.
  const isComplete = answers.print({ services: shown }, text, { isResult: true });
  const isFailing = services.some(({ overview }) => overview?.problems.some(({ severity }) => severity === 'failing'));
  return isComplete && !(check && isFailing);
}

const COLORS = { failing: 'red', attention: 'yellow', paused: 'yellow' } as const;

function overviewText(terminal: Terminal, { relay, consumers, queues, problems }: MessagingOverview): string {
  const lines = problems.map(({ severity, component, problem, since }) =>
    terminal.styled(
      COLORS[severity],
      cell(`${severity}: ${component}: ${problem}${since === null ? '' : ` (since ${time(since)})`}`),
    ),
  );
  return [
    lines.join('\n') || terminal.styled('green', 'Everything is healthy.'),
    relayText(terminal, relay),
    table(terminal, consumers, consumerColumns(terminal), 'No consumers.'),
    table(terminal, queues, queueColumns(terminal), 'No job queues.'),
  ].join('\n\n');
}

function relayText(
  terminal: Terminal,
  { state, paused, unpublished, gaps, deadLetters, publishedPerSecond }: RelayOverview,
) {
  const { ready, held, blocked } = unpublished;
  const waiting = ({ messages, oldestSeconds }: typeof ready) =>
    messages === 0 ? 0 : `${messages}, the oldest for ${duration(oldestSeconds * 1000)}`;
  return fields(terminal, {
    relay: stateOf(terminal, paused, state === 'leading' ? 'publishing' : 'no process publishes'),
    unpublished: waiting(ready),
    'held by dead letters': waiting(held),
    blocked: waiting(blocked),
    gaps,
    'dead letters': alarming(terminal, deadLetters),
    'published a second': rate(publishedPerSecond),
  });
}

const consumerColumns = (terminal: Terminal): Column<ConsumerOverview>[] => [
  { title: 'CONSUMER', value: ({ consumer }) => consumer, isElastic: true },
  { title: 'TOPIC', value: ({ topic }) => topic, isElastic: true },
  { title: 'STATE', value: ({ paused, group }) => stateOf(terminal, paused, group?.state ?? 'unknown') },
  { title: 'LAG', value: ({ group }) => group?.lag, align: 'right' },
  { title: 'IN FLIGHT', value: ({ inFlight }) => inFlight, align: 'right' },
  { title: 'PARKED', value: ({ parked }) => parked, align: 'right' },
  { title: 'DEAD', value: ({ deadLetters }) => alarming(terminal, deadLetters), align: 'right' },
  { title: 'PER SECOND', value: ({ processedPerSecond }) => rate(processedPerSecond), align: 'right' },
  { title: 'LATEST ERROR', value: ({ latestFailure }) => errorOf(latestFailure), isElastic: true },
];

const queueColumns = (terminal: Terminal): Column<QueueOverview>[] => [
  { title: 'QUEUE', value: ({ queue }) => queue, isElastic: true },
  { title: 'STATE', value: ({ paused }) => stateOf(terminal, paused, 'running') },
  { title: 'DUE', value: ({ due }) => due, align: 'right' },
  { title: 'RUNNING', value: ({ running }) => running, align: 'right' },
  { title: 'RETRYING', value: ({ retrying }) => retrying, align: 'right' },
  { title: 'SCHEDULED', value: ({ scheduled }) => scheduled, align: 'right' },
  { title: 'DEAD', value: ({ dead }) => alarming(terminal, dead), align: 'right' },
  { title: 'LATEST ERROR', value: ({ latestFailure }) => errorOf(latestFailure), isElastic: true },
];

/** The time comes first, because the error may be cut off. */
const errorOf = (failure: ConsumerOverview['latestFailure']) => failure && `${time(failure.at)} ${failure.error}`;
const stateOf = (terminal: Terminal, paused: object | null, otherwise: string) =>
  paused ? new Styled(terminal.styled('yellow', 'paused')) : otherwise;
const alarming = (terminal: Terminal, count: number) =>
  count > 0 ? new Styled(terminal.styled('red', String(count))) : count;
const rate = (perSecond: number) => perSecond.toFixed(perSecond < 10 ? 1 : 0);
