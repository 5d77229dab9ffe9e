import { type Option } from 'commander';
import {
  type AdminClient,
  type CauseGroup,
  type CreateOperationInput,
  type FailedAttempt,
} from '@twinbox/client/admin';
import { type ServiceName } from '../connection.js';
import { type ListOf } from '../lists.js';
import { type Column, type Value } from '../text.js';

/** Values by the names of the filters. */
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

/** The operations of the API on one kind of dead items. */
export interface DeadItemCalls<Item, Whole, Id> {
  readonly list: (query: Filters & { readonly limit: number }) => readonly ListOf<Item>[];
  readonly causes: (query: Filters) => Promise<FoundCauses>;
  readonly find: (id: Id) => Promise<Whole>;
  readonly retry: (id: Id, reason: { readonly reason?: string }) => Promise<object>;
  readonly discard: (id: Id, reason: string) => Promise<object>;
  readonly edit: (id: Id, content: string, reason: string) => Promise<object>;
}

export interface FoundCauses {
  readonly items: readonly CauseGroup[];
  /** False if there are more causes, or more of what has them. */
  readonly complete: boolean;
}

/** What is known in full. */
export interface WithHistory {
  /** The latest failed attempts, the oldest first. */
  readonly history: readonly FailedAttempt[];
}

/** Dead letters or dead jobs: what differs between them. */
export interface DeadItems<Item, Whole extends WithHistory, Id> {
  readonly command: string;
  readonly noun: string;
  readonly description: string;
  /** How one of them is named. */
  readonly example: string;
  readonly filters: () => readonly Option[];
  readonly columns: readonly Column<Item & { readonly service: ServiceName }>[];
  /** The stored operations on many of them. */
  readonly kinds: Readonly<Record<'retry' | 'discard', CreateOperationInput['kind']>>;
  /** Returns the filters of stored operations: one for each box that may have such items. */
  readonly bulkFilters: (filter: Filters & { readonly all?: boolean }) => readonly CreateOperationInput['filter'][];
  readonly idOf: (text: string, service: ServiceName | undefined) => { readonly service: ServiceName; readonly id: Id };
  readonly calls: (admin: AdminClient) => DeadItemCalls<Item, Whole, Id>;
  readonly diedAt: (item: Item) => string;
  /** The content of one that an operator may edit, exactly. */
  readonly contentOf: (whole: Whole) => string;
  /** Everything else that is known about it. */
  readonly describe: (whole: Whole) => Readonly<Record<string, Value>>;
}

export interface OneOptions {
  readonly service?: ServiceName;
  readonly reason?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** Returns which of the options are filters. */
export function filterOf(filters: readonly Option[], options: object): Filters {
  const names = new Set(filters.map((option) => option.attributeName()));
  return Object.fromEntries(Object.entries(options).filter(([name]) => names.has(name)));
}
