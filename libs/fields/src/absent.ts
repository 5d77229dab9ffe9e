import { Transform } from 'class-transformer';
import { ValidateIf } from 'class-validator';

/** Allows the field to be absent, but not null, which the field's other rules reject. For bodies and queries of our own clients. */
export function MayBeAbsent(): PropertyDecorator {
  return ValidateIf((_, value) => value !== undefined);
}

/**
 * Allows the field to be absent or null. Null is read as undefined, so that later code need not handle it. For messages and webhooks, and
 * for fields whose documentation allows null.
 */
export function MayBeAbsentOrNull(): PropertyDecorator {
  const mayBeAbsent = MayBeAbsent();
  const nullAsAbsent = Transform(({ value }: { value: unknown }) => value ?? undefined, { toClassOnly: true });
  return (target, key) => {
    mayBeAbsent(target, key);
    nullAsAbsent(target, key);
  };
}
