import { InvalidInputError } from '../errors.js';
import { textFlaw } from '../message/column-text.js';
import { operatorTime } from '../operations/operator-time.js';
import { type OperationFilter } from '../stored-operations/operation-kind.js';

/** Selects messages of the outbox. All given conditions apply. */
export interface ReplayFilter {
  /** ISO 8601. Messages added at or after this time. */
  readonly createdAfter?: string | undefined;
  /** ISO 8601. Messages added before this time. */
  readonly createdBefore?: string | undefined;
  /** The lowest and the highest position, both inclusive. */
  readonly fromPosition?: string | undefined;
  readonly toPosition?: string | undefined;
  readonly aggregateType?: string | undefined;
  readonly aggregateId?: string | undefined;
  readonly type?: string | undefined;
  /** Everything that the outbox keeps, instead of a condition, so that a forgotten one does not select it. */
  readonly all?: true | undefined;
}

const TIMES = ['createdAfter', 'createdBefore'] as const;
const POSITIONS = ['fromPosition', 'toPosition'] as const;
const TEXTS = ['aggregateType', 'aggregateId', 'type'] as const;
const CONDITIONS: readonly string[] = [...TIMES, ...POSITIONS, ...TEXTS];

/** Returns a valid filter, with its times in UTC. @throws InvalidInputError for an invalid value, or for an unknown, missing or superfluous condition */
export function replayFilter(filter: OperationFilter): ReplayFilter {
  const given = Object.keys(filter).filter((name) => filter[name] !== undefined);
  const unknown = given.find((name) => name !== 'all' && !CONDITIONS.includes(name));
  if (unknown !== undefined)
    throw new InvalidInputError(`A replay has no filter ${unknown}. It has ${CONDITIONS.join(', ')} and all`);
  const isAll = filter['all'] !== undefined;
  if (isAll && filter['all'] !== true) throw new InvalidInputError('all must be true, or left out');
  if (!isAll && given.length === 0)
    throw new InvalidInputError('No filter given. To replay everything that the outbox keeps, pass all: true');
  if (isAll && given.length > 1) throw new InvalidInputError('Give either a filter or all: true, not both');
  for (const name of POSITIONS) checkPosition(name, filter[name]);
  for (const name of TEXTS) checkText(name, filter[name]);
  const times = TIMES.filter((name) => filter[name] !== undefined);
  const found: ReplayFilter = {
    ...filter,
    ...Object.fromEntries(times.map((name) => [name, operatorTime(name, filter[name])])),
  };
  checkOrder('createdAfter', 'createdBefore', found.createdAfter, found.createdBefore, Date.parse);
  checkOrder('fromPosition', 'toPosition', found.fromPosition, found.toPosition, Number);
  return found;
}

function checkPosition(name: string, value: unknown): void {
  if (value === undefined) return;
  if (typeof value !== 'string' || !/^\d{1,16}$/.test(value) || !Number.isSafeInteger(Number(value)))
    throw new InvalidInputError(`${name} must be a position as text, such as "4711", not ${JSON.stringify(value)}`);
}

function checkText(name: string, value: unknown): void {
  if (value === undefined) return;
  const flaw = typeof value === 'string' ? textFlaw(value) : 'must be text';
  if (flaw !== undefined) throw new InvalidInputError(`${name} ${flaw}`);
}

function checkOrder(
  low: string,
  high: string,
  from: string | undefined,
  to: string | undefined,
  valueOf: (text: string) => number,
): void {
  if (from !== undefined && to !== undefined && valueOf(from) > valueOf(to))
    throw new InvalidInputError(`${low} must not be after ${high}`);
}
