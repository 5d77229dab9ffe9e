import { Argument, type Command, type Option } from 'commander';
import { type Administration, type Attempt, type Cause } from './administration.js';
import { type BulkOptions, runBulk, withBulkOptions } from './bulk.js';
import { type Cli, confirmed, dryRun, reason, type Session } from './cli.js';
import { type ServiceName } from './connection.js';
import { difference, edited, type EditOptions, withEditOptions } from './edit.js';
import { UsageError } from './failures.js';
import { type ListOf, type ListOptions, printList, serviceOption, withListOptions } from './lists.js';
import { servicesOf } from './reference.js';
import { plain } from './safe-text.js';
import { cell, type Column, fields, table, time } from './text.js';

/** The operations on one kind of dead items. */
interface Operations<Item, Whole, Id> {
  readonly list: (query: Filters & { readonly limit: number }) => readonly ListOf<Item>[];
  readonly causes: (query: Filters) => Promise<readonly Cause[]>;
  readonly find: (id: Id) => Promise<Whole>;
  readonly retry: (id: Id, reason: WithReason) => Promise<object>;
  readonly discard: (id: Id, reason: string) => Promise<object>;
  readonly edit: (id: Id, content: string, reason: string) => Promise<object>;
}

interface WithReason {
  readonly reason?: string;
}

/** Dead letters or dead jobs: what differs between them. */
export interface DeadItems<Item, Whole extends object, Id> {
  readonly command: string;
  readonly noun: string;
  readonly description: string;
  /** How one of them is named. */
  readonly example: string;
  readonly filters: () => readonly Option[];
  readonly columns: readonly Column<Item & { readonly service: ServiceName }>[];
  /** Returns the filter of a stored operation. @throws UsageError if it is incomplete */
  readonly bulkFilter: (filter: Filters & { readonly all?: boolean }) => object;
  /** The stored operations on many of them. */
  readonly kinds: { readonly retry: string; readonly discard: string };
  readonly idOf: (text: string, service: ServiceName | undefined) => { readonly service: ServiceName; readonly id: Id };
  readonly operations: (admin: Administration) => Operations<Item, Whole, Id>;
  /** The content of one that an operator may edit. */
  readonly contentOf: (whole: Whole) => string;
  /** The failed attempts that are known, the oldest first. */
  readonly attemptsOf: (whole: Whole) => readonly Attempt[];
  readonly describe: (whole: Whole) => Parameters<typeof fields>[1];
}

/** Texts by the names of the filters. */
export interface Filters {
  readonly box?: 'inbox' | 'outbox';
  readonly consumer?: string;
  readonly topic?: string;
  readonly aggregateType?: string;
  readonly type?: string;
  readonly key?: string;
  readonly queue?: string;
  readonly cause?: string;
  readonly diedAfter?: string;
  readonly diedBefore?: string;
}

type OneOptions = WithReason & { readonly service?: ServiceName; readonly dryRun?: boolean; readonly yes?: boolean };
type ManyOptions = OneOptions & BulkOptions & { readonly all?: boolean };

/** Adds the commands for one kind of dead items. */
export class DeadItemCommands<Item, Whole extends object, Id> {
  constructor(
    private readonly items: DeadItems<Item, Whole, Id>,
    private readonly cli: Cli,
  ) {}

  addTo(program: Command): void {
    const { command, noun, description } = this.items;
    const group = program.command(command).description(description);
    const { cli } = this;
    this.withFilters(withListOptions(group.command('list').description(`list the ${noun}s`))).action(
      cli.action((session, options: ListOptions) => this.list(session, options)),
    );
    this.withFilters(
      group.command('causes').description(`group the ${noun}s by their errors`).addOption(serviceOption()),
    ).action(cli.action((session, options: OneOptions) => this.causes(session, options)));
    this.withReference(group.command('show').description(`show one ${noun} with its content and attempts`)).action(
      cli.action((session, options: OneOptions, text: string) => this.show(session, options, text)),
    );
    this.withChoice(group.command('retry').description(`retry one ${noun}, or all that match`))
      .option('--canary', 'retry 1, 2, 5, 10 … and stop at the first one that fails again')
      .action(
        cli.action((session, options: ManyOptions, text?: string) => this.change(session, options, 'retry', text)),
      );
    this.withChoice(group.command('discard').description(`remove one ${noun}, or all that match, for good`))
      .option('--yes', 'do not ask')
      .action(
        cli.action((session, options: ManyOptions, text?: string) => this.change(session, options, 'discard', text)),
      );
    withEditOptions(
      this.withReference(group.command('edit').description(`change the content of one ${noun}, and retry it`)),
    )
      .addOption(dryRun())
      .addOption(reason())
      .action(
        cli.action((session, options: OneOptions & EditOptions, text: string) => this.edit(session, options, text)),
      );
  }

  private async list(session: Session, options: ListOptions): Promise<void> {
    const list = (admin: Administration, limit: number) =>
      this.items.operations(admin).list({ ...this.filterOf(options), limit });
    await printList(session, options, list, this.items.columns);
  }

  private async causes({ terminal, connections }: Session, options: OneOptions): Promise<void> {
    const found = servicesOf(options.service).map(async (service) => {
      const causes = await this.items.operations(connections.admin(service)).causes(this.filterOf(options));
      return causes.map((cause) => ({ service, ...cause }));
    });
    const items = (await Promise.all(found)).flat();
    terminal.result({ items }, () =>
      table(terminal, items, [
        { title: 'SERVICE', value: ({ service }) => service },
        { title: 'COUNT', value: ({ count }) => count, align: 'right' },
        { title: 'OLDEST', value: ({ oldest }) => time(oldest) },
        { title: 'NEWEST', value: ({ newest }) => time(newest) },
        { title: 'TYPES', value: ({ types }) => types.map((type) => type ?? '-').join(', '), isElastic: true },
        { title: 'CAUSE', value: ({ cause }) => cause, isElastic: true },
      ]),
    );
  }

  private async show({ terminal, connections }: Session, options: OneOptions, text: string): Promise<void> {
    const { service, id } = this.items.idOf(text, options.service);
    const whole = await this.items.operations(connections.admin(service)).find(id);
    const attempts = this.items.attemptsOf(whole).map(({ at, error }) => `${time(at)}  ${cell(error)}`);
    terminal.result({ service, ...whole }, () =>
      [
        fields(terminal, this.items.describe(whole)),
        `${terminal.styled('bold', 'attempts')}\n${attempts.join('\n') || 'None were recorded.'}`,
        `${terminal.styled('bold', 'content')}\n${plain(this.items.contentOf(whole))}`,
      ].join('\n\n'),
    );
  }

  private async change(session: Session, options: ManyOptions, action: 'retry' | 'discard', text: string | undefined) {
    if (action === 'discard' && !options.dryRun) givenReason(options);
    if (text === undefined) return this.changeMany(session, options, action);
    const { terminal, connections } = session;
    if (Object.keys(this.filterOf(options)).length > 0 || options.all)
      throw new UsageError('Give either one reference, or filters.');
    const { service, id } = this.items.idOf(text, options.service);
    const operations = this.items.operations(connections.admin(service));
    if (options.dryRun) {
      const whole = await operations.find(id);
      terminal.result(
        { service, ...whole },
        () => `This would be changed. Nothing was changed.\n\n${fields(terminal, this.items.describe(whole))}`,
      );
      return true;
    }
    const { noun } = this.items;
    if (action === 'discard' && !(await confirmed(terminal, `Discard the ${noun} ${text} for good?`, options.yes)))
      return false;
    const { reason } = options;
    const result = await (action === 'discard'
      ? operations.discard(id, givenReason(options))
      : operations.retry(id, reason === undefined ? {} : { reason }));
    terminal.result({ service, ...result }, () =>
      action === 'retry' ? `The ${noun} is retried now.` : `The ${noun} is discarded.`,
    );
    return true;
  }

  private async changeMany(session: Session, options: ManyOptions, action: 'retry' | 'discard'): Promise<boolean> {
    const { noun, kinds, example } = this.items;
    const { service, all = false } = options;
    if (service === undefined)
      throw new UsageError(`Name one ${noun}, such as ${example}, or choose many with --service and filters.`);
    const { box, ...filter } = this.filterOf(options);
    const isFiltered = Object.keys(filter).length > 0;
    // A filter that got lost must not mean everything.
    if (!isFiltered && !all)
      throw new UsageError(`Without a filter, this concerns every ${noun} of ${service}. Add a filter or --all.`);
    if (isFiltered && all) throw new UsageError('Give either filters or --all.');
    const chosen = this.items.bulkFilter({ ...filter, ...(box && { box }), ...(all && { all }) });
    const question = action === 'discard' ? `Discard {} of ${service} for good?` : undefined;
    return runBulk(
      session,
      { service, kind: kinds[action], filter: chosen, noun, ...(question && { question }) },
      options,
    );
  }

  private async edit(session: Session, options: OneOptions & EditOptions, text: string): Promise<boolean> {
    const { terminal, connections } = session;
    const { service, id } = this.items.idOf(text, options.service);
    const reason = options.dryRun ? '' : givenReason(options);
    const operations = this.items.operations(connections.admin(service));
    const before = this.items.contentOf(await operations.find(id));
    const after = await edited(session, before, options);
    const changes = difference(before, after);
    if (changes === '') {
      terminal.result({ service, changes }, () => 'The content is the same, so nothing was changed.');
      return true;
    }
    if (options.dryRun) {
      terminal.result({ service, changes }, () => `${plain(changes)}\nNothing was changed.`);
      return true;
    }
    const result = await operations.edit(id, after, reason);
    terminal.result(
      { service, ...result },
      () => `${plain(changes)}\nThe ${this.items.noun} is changed, and retried now.`,
    );
    return true;
  }

  private withReference(command: Command): Command {
    return command.addOption(serviceOption()).addArgument(new Argument('<reference>', `such as ${this.items.example}`));
  }

  private withChoice(command: Command): Command {
    const argument = new Argument('[reference]', `such as ${this.items.example}`);
    const filtered = this.withFilters(command.addArgument(argument).addOption(serviceOption()));
    return withBulkOptions(filtered.option('--all', 'all of the service'));
  }

  private withFilters(command: Command): Command {
    for (const option of this.items.filters()) command.addOption(option);
    return command;
  }

  private filterOf(options: object): Filters {
    const names = new Set(this.items.filters().map((option) => option.attributeName()));
    return Object.fromEntries(Object.entries(options).filter(([name]) => names.has(name)));
  }
}

/** @throws UsageError if there is none */
function givenReason({ reason }: WithReason): string {
  if (!reason?.trim()) throw new UsageError('Say why with --reason, for the audit.');
  return reason;
}
