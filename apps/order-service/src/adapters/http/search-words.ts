import { Transform } from 'class-transformer';
import { ValidateBy } from 'class-validator';

/** Each word of a search is a lookup of all products that have one with that beginning. */
export const MOST_WORDS = 10;

/** A word that is repeated counts once, and is searched for once. */
export function SearchWords(): PropertyDecorator {
  const once = Transform(({ value }) => (typeof value === 'string' ? withoutRepetition(value) : (value as unknown)));
  const areFew = ValidateBy({
    name: 'areFewWords',
    validator: {
      validate: (value) => typeof value !== 'string' || wordsIn(value) <= MOST_WORDS,
      defaultMessage: (args) => `${args?.property} must have at most ${MOST_WORDS} different words`,
    },
  });
  return (target, key) => {
    for (const decorate of [once, areFew]) decorate(target, key);
  };
}

function withoutRepetition(search: string): string {
  const words = search.match(/\S+/gu) ?? [];
  const different = new Map(words.map((word) => [word.toLowerCase(), word]));
  return different.size === words.length ? search : [...different.values()].join(' ');
}

function wordsIn(search: string): number {
  return search.match(/[\p{L}\p{M}\p{N}]+/gu)?.length ?? 0;
}
