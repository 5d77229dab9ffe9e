import { InvalidInputError } from '../errors.js';
import { checkChoice, choiceOfJson } from './choice-json.js';
import { type JobFilter } from './dead-job.js';
import { type LetterFilter } from './dead-letter.js';
import { checkFilterTexts, checkId } from '../operations/operator.js';
import { type LetterPlace } from './letter-store.js';
import { isUuid } from '../message/column-text.js';

const FILTERS = [
  'ids',
  'consumer',
  'aggregateType',
  'topic',
  'type',
  'key',
  'cause',
  'diedAfter',
  'diedBefore',
] as const satisfies readonly (keyof LetterFilter)[];
const JOB_FILTERS = [
  'ids',
  'queue',
  'cause',
  'diedAfter',
  'diedBefore',
] as const satisfies readonly (keyof JobFilter)[];

/** Selects the letters to change. A whole box requires `all`, so that a forgotten filter does not discard everything. */
export interface LetterChoice extends LetterFilter {
  readonly all?: boolean | undefined;
}

/** @throws InvalidInputError for an invalid value, or a filter that the box does not have */
export function checkFilter(filter: LetterFilter): void {
  const { box, consumer, aggregateType, ids, diedAfter, diedBefore } = filter;
  // Filters come from a command line or a URL, so the compiler has not checked them.
  if (!['outbox', 'inbox'].includes(box))
    throw new InvalidInputError(`box must be outbox or inbox, not ${box as string}`);
  if (box === 'outbox' && consumer !== undefined)
    throw new InvalidInputError('Outbox letters have no consumer to filter by');
  if (box === 'inbox' && aggregateType !== undefined)
    throw new InvalidInputError('Inbox letters have no aggregateType to filter by');
  ids?.forEach((id) => checkId('id', id));
  checkTimes(diedAfter, diedBefore);
  checkFilterTexts(consumer, aggregateType, filter.topic, filter.type, filter.key, filter.cause);
}

/** @throws InvalidInputError for an invalid value */
export function checkJobFilter({ ids, queue, cause, diedAfter, diedBefore }: JobFilter): void {
  for (const id of ids ?? []) if (!isUuid(id)) throw new InvalidInputError(`${JSON.stringify(id)} is not a job id`);
  checkTimes(diedAfter, diedBefore);
  checkFilterTexts(queue, cause);
}

/** @throws InvalidInputError for a time that PostgreSQL does not accept */
function checkTimes(...times: readonly (Date | undefined)[]): void {
  for (const time of times)
    // Other years are mistakes, and PostgreSQL does not accept every year that JavaScript does.
    if (time !== undefined && !(time.getUTCFullYear() >= 0 && time.getUTCFullYear() <= 9999))
      throw new InvalidInputError('diedAfter or diedBefore is not a valid date');
}

/** @throws InvalidInputError if neither or both of a filter and `all` are given */
export function checkChosen(choice: LetterChoice): void {
  checkChoice(choice, FILTERS, `the whole ${choice.box}`);
}

/**
 * Returns the letters that JSON chooses, with times as texts.
 * @throws InvalidInputError for an invalid value, an unknown filter, or if neither or both of a filter and `all` are given
 */
export function letterChoiceOf(json: Readonly<Record<string, unknown>>): LetterChoice {
  const choice = choiceOfJson<LetterChoice>('Letters', ['box', 'all', ...FILTERS], json);
  checkFilter(choice);
  checkChosen(choice);
  return choice;
}

/** Returns the jobs that JSON chooses, like {@link letterChoiceOf}. */
export function jobFilterOf(json: Readonly<Record<string, unknown>>): JobFilter {
  const { all, ...filter } = choiceOfJson<JobFilter & { all?: boolean }>('Jobs', ['all', ...JOB_FILTERS], json);
  checkJobFilter(filter);
  checkChoice({ ...filter, all }, JOB_FILTERS, 'all dead jobs');
  return filter;
}

/** Returns the cursor that stands for a position. */
export function cursorOf({ diedAtMicros, id }: LetterPlace): string {
  return `${diedAtMicros}-${id}`;
}

/** Returns the position that a cursor stands for. @throws InvalidInputError if the cursor is invalid */
export function placeOf(cursor: string | undefined): LetterPlace | undefined {
  if (cursor === undefined) return undefined;
  const [, diedAtMicros, id] = /^(\d{1,17})-(-?\d{1,18})$/.exec(cursor) ?? [];
  if (diedAtMicros === undefined || id === undefined)
    throw new InvalidInputError(`${JSON.stringify(cursor)} is not a valid cursor`);
  return { diedAtMicros, id };
}

/** Returns the position among the dead jobs that a cursor stands for. @throws InvalidInputError if the cursor is invalid */
export function jobPlaceOf(cursor: string | undefined): LetterPlace | undefined {
  if (cursor === undefined) return undefined;
  const [, diedAtMicros, id] = /^(\d{1,17})-(.+)$/.exec(cursor) ?? [];
  if (diedAtMicros === undefined || id === undefined || !isUuid(id))
    throw new InvalidInputError(`${JSON.stringify(cursor)} is not a valid cursor`);
  return { diedAtMicros, id };
}
