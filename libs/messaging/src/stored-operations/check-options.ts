import { InvalidInputError } from '../errors.js';
import { type OperationOptions } from './operation-kind.js';

const MAX_RATE = 100_000;
/** One item in 100 s. A slower operation would not end. */
const MIN_RATE = 0.01;

/** Validates what all kinds have in common. @throws InvalidInputError */
export function checkOptions({ canary, ratePerSecond, topic, force, ...unknown }: OperationOptions): void {
  const [name] = Object.keys(unknown);
  if (name !== undefined) throw new InvalidInputError(`Operations have no option ${name}`);
  for (const [flag, value] of Object.entries({ canary, force }))
    if (value !== undefined && typeof value !== 'boolean') throw new InvalidInputError(`${flag} must be true or false`);
  if (topic !== undefined && (typeof topic !== 'string' || !/^[\w.-]{1,249}$/.test(topic)))
    throw new InvalidInputError('topic must be the name of a topic');
  if (ratePerSecond === undefined) return;
  if (typeof ratePerSecond !== 'number' || !(ratePerSecond >= MIN_RATE && ratePerSecond <= MAX_RATE))
    throw new InvalidInputError(`ratePerSecond must be ${MIN_RATE} to ${MAX_RATE}, not ${String(ratePerSecond)}`);
}

/** @throws InvalidInputError for any of these options that is given */
export function refuseOptions(kind: string, options: OperationOptions, ...names: (keyof OperationOptions)[]): void {
  for (const name of names)
    if (options[name] !== undefined && options[name] !== false)
      throw new InvalidInputError(`An operation of kind ${kind} has no option ${name}`);
}
