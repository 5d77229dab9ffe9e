import { Argument, type Command } from 'commander';
import { answersOf } from '../answers.js';
import { type Cli, dryRun, type Session } from '../cli.js';
import { type ServiceName } from '../connection.js';
import { CommandFailed } from '../failures.js';
import { serviceOption } from '../lists.js';
import { referenceOf, servicesOf } from '../reference.js';
import { table, time } from '../text.js';

/** The most incidents that the API lists. */
const MOST = 100;

interface Options {
  readonly service?: ServiceName;
}

export function addIncidents(program: Command, cli: Cli): void {
  const group = program.command('incidents').description('what needs a person, such as offsets that went back');
  group
    .command('list')
    .description('list the incidents that nobody has acknowledged')
    .addOption(serviceOption())
    .action(cli.action(list));
  group
    .command('acknowledge')
    .description('take note of an incident, so that health no longer shows it')
    .addOption(serviceOption())
    .addArgument(new Argument('<reference>', 'such as orders/3'))
    .requiredOption('--reason <text>', 'what was done about it, for the audit')
    .addOption(dryRun())
    .action(cli.action(acknowledge));
}

async function list(session: Session, options: Options): Promise<boolean> {
  const { terminal } = session;
  const { answers, found } = await answersOf(session, servicesOf(options.service), async (admin, service) => {
    const { items } = await admin.listIncidents();
    return { items: items.map((incident) => ({ service, ...incident })), isFull: items.length >= MOST };
  });
  const all = found.flatMap(({ items }) => items);
  const items = all.toSorted((a, b) => Date.parse(a.firstAt) - Date.parse(b.firstAt));
  const hasMore = found.some(({ isFull }) => isFull);
  const isComplete = answers.print({ items, hasMore }, () =>
    table(terminal, items, [
      { title: 'INCIDENT', value: ({ service, id }) => `${service}/${id}` },
      { title: 'FIRST', value: ({ firstAt }) => time(firstAt) },
      { title: 'LAST', value: ({ lastAt }) => time(lastAt) },
      { title: 'TIMES', value: ({ occurrences }) => occurrences, align: 'right' },
      { title: 'KIND', value: ({ kind }) => kind },
      { title: 'SUBJECT', value: ({ subject }) => subject, isElastic: true },
      { title: 'PROBLEM', value: ({ problem }) => problem, isElastic: true },
    ]),
  );
  if (hasMore && !terminal.json)
    terminal.note(
      `Each service lists the oldest ${MOST} only, so there may be more. Acknowledge these to see the others.`,
    );
  return isComplete;
}

type AcknowledgeOptions = Options & { readonly reason: string; readonly dryRun?: boolean };

async function acknowledge(
  { terminal, connections }: Session,
  options: AcknowledgeOptions,
  text: string,
): Promise<void> {
  const { service, rest: id } = referenceOf(text, options.service, 'orders/3');
  const admin = connections.admin(service);
  if (options.dryRun) {
    const incident = (await admin.listIncidents()).items.find((one) => one.id === id);
    if (!incident) throw new CommandFailed(`There is no open incident ${text}.`);
    terminal.result(
      { service, ...incident },
      () => `${incident.kind} on ${incident.subject} would be acknowledged. Nothing was changed.`,
    );
    return;
  }
  await admin.acknowledgeIncident({ id, reason: options.reason });
  terminal.result({ service, id }, () => 'The incident is acknowledged.');
}
