import { type CreateOperationInput, type DryRun } from '@twinbox/client/admin';
import { present } from '../../shell/search-params.js';

export type Subject = 'letters' | 'jobs';
export type BulkAction = 'retry' | 'discard';

/** The filter of a page. The box alone is no filter. */
export type PageFilter = Readonly<
  Partial<Record<'box' | 'cause' | 'type' | 'key' | 'consumer' | 'diedAfter' | 'queue', string | undefined>>
>;

/** Returns the filter of a stored operation. A page without filters means everything, which the operation has to say. */
export function operationFilter(filter: PageFilter): CreateOperationInput['filter'] {
  const { box, ...fields } = present(filter);
  const isFiltered = Object.keys(fields).length > 0;
  return { ...(box && { box: box as 'inbox' | 'outbox' }), ...(isFiltered ? fields : { all: true }) };
}

export const nounOf = (subject: Subject): string => (subject === 'letters' ? 'dead letter' : 'dead job');

/** What an operation does to everything that was counted by the dry run, and to nothing that matched only later. */
export function operationOf(
  subject: Subject,
  action: BulkAction,
  filter: PageFilter,
  settings: {
    readonly asOf: string;
    readonly canary: boolean;
    readonly ratePerSecond: number | undefined;
    readonly reason: string;
  },
): CreateOperationInput {
  const { asOf, canary, ratePerSecond, reason } = settings;
  return {
    kind: `${action}-${subject}`,
    filter: operationFilter(filter),
    options: {
      asOf,
      ...(canary && action === 'retry' && { canary }),
      ...(ratePerSecond !== undefined && { ratePerSecond }),
    },
    ...(reason !== '' && { reason }),
  };
}

/** The columns of the first items of a dry run, whatever they have. */
export function columnsOf(first: DryRun['first']): readonly string[] {
  return Object.keys(Object.assign({}, ...first) as object);
}
