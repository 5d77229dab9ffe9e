import { plainToInstance } from 'class-transformer';
import { validateSync, type ValidationError } from 'class-validator';
import { describeError } from '../errors.js';
import { type EventClass, type Upcaster } from './topic.js';

/**
 * Converts the JSON to an instance of the event's class, or explains why it violates the contract. Data is validated as the version that
 * its sender published, and then upcast.
 */
export function dataOf(
  json: object,
  eventClass: EventClass,
  dataschema: string | undefined,
): { data?: object; broken?: string } {
  const upcasters = upcastersFrom(versionOf(dataschema) ?? eventClass.version, eventClass);
  try {
    const sent = plainToInstance(upcasters[0]?.from ?? eventClass, json);
    const errors = validateSync(sent, { forbidUnknownValues: false });
    if (errors.length > 0) return { broken: errors.flatMap(constraintsOf).join('; ') };
    return { data: upcasters.length === 0 ? sent : Object.assign(new eventClass(), upcast(sent, upcasters)) };
  } catch (error) {
    // Conversion and validation are recursive, even into fields that no class declares, so data may be nested too deeply for them.
    return { broken: describeError(error) };
  }
}

/** Extracts the version from `urn:event:<type>:<version>`. */
function versionOf(dataschema: string | undefined): number | undefined {
  const version = /^urn:event:.+:(\d{1,9})$/.exec(dataschema ?? '')?.[1];
  return version === undefined ? undefined : Number(version);
}

/** A version without an upcaster has the same form as the next, and so does every version that is newer than the class. */
function upcastersFrom(from: number, { version, upcasters }: EventClass): readonly Upcaster[] {
  if (from >= version || upcasters === undefined) return [];
  // The entries are in ascending order, because their keys are integers.
  const needed = Object.entries(upcasters).filter(([n]) => Number(n) >= from && Number(n) < version);
  return needed.map(([, upcaster]) => upcaster);
}

function upcast(data: object, upcasters: readonly Upcaster[]): object {
  return upcasters.reduce((converted, upcaster) => upcaster.convert(converted), data);
}

/** Returns the fields and the rules that they violate, never their values, because those may be personal data. */
function constraintsOf({ property, constraints, children }: ValidationError): string[] {
  const nested = (children ?? []).flatMap(constraintsOf).map((text) => `${property}.${text}`);
  return [...Object.values(constraints ?? {}), ...nested];
}
