import { Transform } from 'class-transformer';
import { ValidateIf } from 'class-validator';

/** The field may be absent. Null is not absent: the field's other rules refuse it. For bodies and queries of our own clients. */
export function MayBeAbsent(): PropertyDecorator {
  return ValidateIf((_, value) => value !== undefined);
}

/**
 * The field may be absent, and null means the same: the instance has undefined, so no code behind it has to know null. For messages and
 * webhooks, and for fields whose documentation allows null.
 */
export function MayBeAbsentOrNull(): PropertyDecorator {
  const mayBeAbsent = MayBeAbsent();
  const nullAsAbsent = Transform(({ value }: { value: unknown }) => value ?? undefined, { toClassOnly: true });
  return (target, key) => {
    mayBeAbsent(target, key);
    nullAsAbsent(target, key);
  };
}
