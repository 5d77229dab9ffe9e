import { plainToInstance } from 'class-transformer';
import { validateSync, type ValidationError } from 'class-validator';
import { describeError } from '../errors.js';
import { type EventClass } from './topic.js';

/** Converts the JSON to an instance of the event's class, or explains why it violates the contract. */
export function dataOf(
  json: object,
  eventClass: EventClass,
  dataschema: string | undefined,
): { data?: object; broken?: string } {
  const version = versionOf(dataschema) ?? eventClass.version;
  try {
    const data = plainToInstance(eventClass, upcast(json, eventClass, version));
    const errors = validateSync(data, { forbidUnknownValues: false });
    return errors.length === 0 ? { data } : { broken: errors.flatMap(constraintsOf).join('; ') };
  } catch (error) {
    // Both are recursive, even into fields that no class declares, so data may be nested too deeply for them.
    return { broken: describeError(error) };
  }
}

/** Extracts the version from `urn:event:<type>:<version>`. */
function versionOf(dataschema: string | undefined): number | undefined {
  const version = /^urn:event:.+:(\d{1,9})$/.exec(dataschema ?? '')?.[1];
  return version === undefined ? undefined : Number(version);
}

/** Leaves data of a version without an upcaster as it is. The contract then decides whether it is valid. */
function upcast(json: object, { version, upcasters = {} }: EventClass, from: number): object {
  let data = json;
  for (let n = from; n < version; n++) data = upcasters[n]?.(data) ?? data;
  return data;
}

/** Returns the fields and the rules that they violate, never their values, because those may be personal data. */
function constraintsOf({ property, constraints, children }: ValidationError): string[] {
  const nested = (children ?? []).flatMap(constraintsOf).map((text) => `${property}.${text}`);
  return [...Object.values(constraints ?? {}), ...nested];
}
