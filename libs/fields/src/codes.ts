import { Transform } from 'class-transformer';

/** Converts a code of ASCII letters to capitals, because a comparison of strings would treat two spellings as different codes. */
export function InCapitals(): PropertyDecorator {
  // ASCII letters only, because upper-casing maps other letters to ASCII, such as the long s to S.
  const isCode = (value: unknown) => typeof value === 'string' && /^[A-Za-z]+$/.test(value);
  return Transform(({ value }: { value: unknown }) => (isCode(value) ? String(value).toUpperCase() : value), {
    toClassOnly: true,
  });
}
