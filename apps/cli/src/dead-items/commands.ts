import { Argument, type Command } from 'commander';
import { withBulkOptions } from '../bulk.js';
import { type Cli, dryRun, reason, type Session } from '../cli.js';
import { type EditOptions, withEditOptions } from '../edit.js';
import { type ListOptions, serviceOption, withListOptions } from '../lists.js';
import { change, type ChangeOptions, edit } from './changes.js';
import { type DeadItems, type OneOptions, type WithHistory } from './dead-items.js';
import { causes, list, show } from './views.js';

/** Adds the commands for one kind of dead items. */
export function addDeadItems<Item, Whole extends WithHistory, Id>(
  program: Command,
  cli: Cli,
  items: DeadItems<Item, Whole, Id>,
): void {
  const { command, noun, description, example } = items;
  const group = program.command(command).description(description);
  const add = (name: string, description: string) =>
    group.command(name).description(description).addOption(serviceOption());
  const addFiltered = (name: string, description: string) =>
    items.filters().reduce((command, option) => command.addOption(option), add(name, description));
  const reference = (form: string) => new Argument(form, `such as ${example}`);
  const addChange = (name: string, description: string) =>
    withBulkOptions(
      addFiltered(name, description).addArgument(reference('[reference]')).option('--all', 'all of the service'),
    );

  withListOptions(addFiltered('list', `list the ${noun}s`)).action(
    cli.action((session, options: ListOptions) => list(items, session, options)),
  );
  addFiltered('causes', `group the ${noun}s by their errors`).action(
    cli.action((session, options: OneOptions) => causes(items, session, options)),
  );
  add('show', `show one ${noun} with its content and attempts`)
    .addArgument(reference('<reference>'))
    .action(cli.action((session, options: OneOptions, text: string) => show(items, session, options, text)));
  addChange('retry', `retry one ${noun}, or all that match`)
    .option('--canary', 'retry 1, 2, 5, 10 … and stop at the first one that fails again')
    .action(
      cli.action((session: Session, options: ChangeOptions, text?: string) =>
        change(items, session, options, 'retry', text),
      ),
    );
  addChange('discard', `remove one ${noun}, or all that match, for good`)
    .option('--yes', 'do not ask')
    .action(
      cli.action((session: Session, options: ChangeOptions, text?: string) =>
        change(items, session, options, 'discard', text),
      ),
    );
  withEditOptions(add('edit', `change the content of one ${noun}, and retry it`).addArgument(reference('<reference>')))
    .addOption(dryRun())
    .addOption(reason())
    .action(
      cli.action((session, options: OneOptions & EditOptions, text: string) => edit(items, session, options, text)),
    );
}
