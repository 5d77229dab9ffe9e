import { Transform } from 'class-transformer';

/** Reads a code of ASCII letters in capitals, because code that compares strings would take two spellings for two codes. */
export function InCapitals(): PropertyDecorator {
  // Not the capitals of other letters: that of a long s is an S.
  const isCode = (value: unknown) => typeof value === 'string' && /^[A-Za-z]+$/.test(value);
  return Transform(({ value }: { value: unknown }) => (isCode(value) ? String(value).toUpperCase() : value), {
    toClassOnly: true,
  });
}
