import { Transform } from 'class-transformer';
import { isUUID, ValidateBy } from 'class-validator';

/** Returns whether the text is a UUID of any version, in the form with 36 characters. */
export function isUuid(text: string): boolean {
  return /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text);
}

/**
 * Accepts one of our ids, a UUIDv7 (RFC 9562). It is read in lower case, as PostgreSQL writes it, so that ids can be compared, hashed and
 * used as keys. Only the form with 36 characters is valid, although PostgreSQL also reads ids with braces or without hyphens.
 */
export function IsId(): PropertyDecorator {
  const inLowerCase = Transform(
    ({ value }: { value: unknown }) => (typeof value === 'string' ? value.toLowerCase() : value),
    { toClassOnly: true },
  );
  const isId = ValidateBy({
    name: 'isUuid',
    validator: {
      validate: (value) => isUUID(value, '7'),
      defaultMessage: (args) => `${args?.property ?? 'it'} must be a UUID`,
    },
  });
  return (target, key) => {
    inLowerCase(target, key);
    isId(target, key);
  };
}
