import { type Command, Option } from 'commander';
import { type BulkOptions, runBulk, withBulkOptions } from '../bulk.js';
import { type Cli, type Session } from '../cli.js';
import { type ServiceName, SERVICES } from '../connection.js';
import { UsageError } from '../failures.js';
import { timeOption } from '../lists.js';

interface ReplayOptions extends BulkOptions {
  readonly service: ServiceName;
  readonly after?: string;
  readonly before?: string;
  readonly fromPosition?: string;
  readonly toPosition?: string;
  readonly type?: string;
  readonly aggregateType?: string;
  readonly aggregate?: string;
  readonly all?: boolean;
  readonly topic?: string;
  readonly force?: boolean;
}

export function addReplay(program: Command, cli: Cli): void {
  const command = program
    .command('replay')
    .description('publish messages again that the outbox still has')
    .addHelpText('after', '\nThe order of each key is kept. Consumers that have handled a message drop its copy.')
    .addOption(new Option('--service <service>', 'whose outbox').choices(SERVICES).makeOptionMandatory())
    .option('--after <time>', 'created at this time or later, or so long ago, such as 2h', (text) => timeOption(text))
    .option('--before <time>', 'created before this time', (text) => timeOption(text))
    .option('--from-position <position>', 'from this position of the outbox on', position)
    .option('--to-position <position>', 'up to this position', position)
    .option('--type <type>', 'messages of this type')
    .option('--aggregate-type <type>', 'messages of aggregates of this type')
    .option('--aggregate <id>', 'messages of this aggregate, such as an order')
    .option('--all', 'everything that the outbox still has')
    .option('--topic <topic>', 'to this topic instead of their own')
    .option('--force', 'even if a consumer may no longer know that it has handled them')
    .option('--yes', 'do not ask');
  withBulkOptions(command).action(cli.action(replay));
}

async function replay(session: Session, options: ReplayOptions): Promise<boolean> {
  const { service, after, before, fromPosition, toPosition, type, aggregateType, aggregate, all, topic, force } =
    options;
  const filter = Object.fromEntries(
    Object.entries({
      createdAfter: after,
      createdBefore: before,
      fromPosition,
      toPosition,
      type,
      aggregateType,
      aggregateId: aggregate,
    }).filter(([, value]) => value !== undefined),
  );
  const isFiltered = Object.keys(filter).length > 0;
  if (!isFiltered && !all)
    throw new UsageError(`Without a filter, this concerns every message of ${service}. Add a filter or --all.`);
  if (isFiltered && all) throw new UsageError('Give either filters or --all.');
  const settings = { ...(topic !== undefined && { topic }), ...(force && { force }) };
  const question = `Publish {} of ${service} again${topic === undefined ? ' to their topic, which consumers read' : ` to ${topic}`}?`;
  return runBulk(
    session,
    { service, kind: 'replay', filters: [all ? { all } : filter], settings, noun: 'message', question },
    options,
  );
}

function position(text: string): string {
  if (!/^\d{1,16}$/.test(text)) throw new UsageError(`${text} is not a position.`);
  return text;
}
