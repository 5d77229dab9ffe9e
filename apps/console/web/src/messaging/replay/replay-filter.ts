import { type CreateOperationInput } from '@twinbox/client/admin';
import { present } from '../../shell/search-params.js';

/** The fields of the form, as they are typed. */
export interface ReplayForm {
  readonly type: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  /** By the clock of the viewer, as a field for date and time has it. */
  readonly createdAfter: string;
  readonly createdBefore: string;
  readonly fromPosition: string;
  readonly toPosition: string;
  readonly all: boolean;
  readonly topic: string;
  readonly force: boolean;
}

export const EMPTY: ReplayForm = {
  type: '',
  aggregateType: '',
  aggregateId: '',
  createdAfter: '',
  createdBefore: '',
  fromPosition: '',
  toPosition: '',
  all: false,
  topic: '',
  force: false,
};

/** Returns what to replay, or why the form does not say it. A filter that got lost must not mean everything. */
export function replayOf(form: ReplayForm): Pick<CreateOperationInput, 'kind' | 'filter' | 'options'> | string {
  const { all, topic, force, createdAfter, createdBefore, ...texts } = form;
  const filter = present({
    ...Object.fromEntries(Object.entries(texts).map(([name, value]) => [name, value.trim() || undefined])),
    createdAfter: instantOf(createdAfter),
    createdBefore: instantOf(createdBefore),
  });
  const isFiltered = Object.keys(filter).length > 0;
  if (all && isFiltered) return 'Choose either everything or filters.';
  if (!all && !isFiltered) return 'Fill in a filter, or choose everything.';
  const options = { ...(topic.trim() !== '' && { topic: topic.trim() }), ...(force && { force }) };
  return { kind: 'replay', filter: all ? { all } : filter, options };
}

const instantOf = (local: string) => (local === '' ? undefined : new Date(local).toISOString());
