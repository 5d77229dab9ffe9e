import { type Command, Option } from 'commander';
import { type AdminClient, type WholeInboxLetter, type WholeOutboxLetter } from '@twinbox/client/admin';
import { type DeadLetter } from '../dead-letter.js';
import { type Cli } from '../cli.js';
import { addDeadItems } from '../dead-items/commands.js';
import { type DeadItems } from '../dead-items/dead-items.js';
import { boxesOf, deathFilters, messageFilters } from '../filters.js';
import { letterOf } from '../reference.js';
import { time } from '../text.js';

export function addDeadLetters(program: Command, cli: Cli): void {
  addDeadItems(program, cli, DEAD_LETTERS);
}

type Id = Pick<DeadLetter, 'box' | 'id'>;

const DEAD_LETTERS: DeadItems<DeadLetter, WholeInboxLetter | WholeOutboxLetter, Id> = {
  command: 'dead-letters',
  noun: 'dead letter',
  description: 'messages that could not be published or handled, and are no longer retried',
  example: 'payments/inbox/17',
  filters: () => [
    ...messageFilters(),
    new Option('--aggregate-type <type>', 'of aggregates of this type (outbox)'),
    ...deathFilters(),
  ],
  columns: [
    { title: 'DEAD LETTER', value: ({ service, box, id }) => `${service}/${box}/${id}` },
    { title: 'DIED', value: ({ diedAt }) => time(diedAt) },
    { title: 'TYPE', value: ({ type }) => type },
    { title: 'KEY', value: ({ key }) => key, isElastic: true },
    {
      title: 'PLACE',
      value: (letter) => (letter.box === 'inbox' ? letter.consumer : letter.aggregateType),
      isElastic: true,
    },
    { title: 'ERROR', value: ({ error }) => error, isElastic: true },
  ],
  bulkFilters: (filter) => boxesOf(filter).map((box) => ({ ...filter, box })),
  kinds: { retry: 'retry-letters', discard: 'discard-letters' },
  idOf: (text, named) => {
    const { service, box, id } = letterOf(text, named);
    return { service, id: { box, id } };
  },
  calls: (admin: AdminClient) => ({
    list: (query) => boxesOf(query).map((box) => admin.listDeadLetters({ ...query, box })),
    causes: async (query) => {
      const boxes = boxesOf(query).map((box) => admin.listDeadLetterCauses({ ...query, box }));
      const found = await Promise.all(boxes);
      return { items: found.flatMap(({ items }) => items), complete: found.every(({ complete }) => complete) };
    },
    find: (id) => admin.getDeadLetter(id),
    retry: (id, reason) => admin.retryDeadLetter({ ...id, ...reason }),
    discard: (id, reason) => admin.discardDeadLetter({ ...id, reason }),
    edit: (id, payload, reason) => admin.editDeadLetter({ ...id, payload, reason }),
  }),
  diedAt: ({ diedAt }) => diedAt,
  contentOf: ({ payload }) => payload ?? '',
  describe: (letter) => ({
    ...letter,
    diedAt: time(letter.diedAt),
    payload: undefined,
    history: undefined,
    // What is text is shown as such.
    ...('rawValue' in letter && {
      rawKey: undefined,
      rawValue: letter.payload === null ? letter.rawValue : undefined,
    }),
  }),
};
