import { InvalidInputError } from '../errors.js';
import { operatorTime } from '../operations/operator-time.js';

/** What the choices of all kinds have in common. */
interface Choice {
  readonly ids?: readonly string[] | undefined;
  readonly diedAfter?: Date | undefined;
  readonly diedBefore?: Date | undefined;
  readonly all?: boolean | undefined;
}

/**
 * Returns the choice that JSON describes, with times as texts. Refuses names that are no filters, because a misspelt filter must not
 * select everything.
 * @throws InvalidInputError for an unknown filter, or for a value of another type
 */
export function choiceOfJson<T extends Choice>(
  what: string,
  names: readonly (keyof T & string)[],
  json: Readonly<Record<string, unknown>>,
): T {
  for (const [name, value] of Object.entries(json)) {
    if (!(names as readonly string[]).includes(name))
      throw new InvalidInputError(`${what} have no filter ${name}. The filters are ${names.join(', ')}`);
    if (!isOfType(name, value)) throw new InvalidInputError(`The filter ${name} has an invalid value`);
  }
  const times = (['diedAfter', 'diedBefore'] as const).filter((name) => json[name] !== undefined);
  return {
    ...json,
    ...Object.fromEntries(times.map((name) => [name, new Date(operatorTime(name, json[name]))])),
  } as unknown as T;
}

function isOfType(name: string, value: unknown): boolean {
  if (name === 'all') return typeof value === 'boolean';
  if (name === 'ids') return Array.isArray(value) && value.every((id) => typeof id === 'string');
  return typeof value === 'string';
}

/** @throws InvalidInputError if neither or both of a filter and `all` are given */
export function checkChoice<T extends Choice>(choice: T, filters: readonly (keyof T)[], all: string): void {
  const given = filters.some((name) => choice[name] !== undefined);
  if (!given && choice.all !== true) throw new InvalidInputError(`No filter given. To select ${all}, pass all: true`);
  if (given && choice.all === true) throw new InvalidInputError('Give either a filter or all: true, not both');
}
