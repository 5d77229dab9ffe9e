import { ValidateBy } from 'class-validator';
import { searchWords } from '../../domain/search-words.js';

/** Bounds the cost of a search: each word looks up all products that have a word with that beginning. */
export const MAX_WORDS = 10;

export function HasFewWords(): PropertyDecorator {
  return ValidateBy({
    name: 'hasFewWords',
    validator: {
      validate: (value) => typeof value !== 'string' || searchWords(value).length <= MAX_WORDS,
      defaultMessage: (args) => `${args?.property} must have at most ${MAX_WORDS} different words`,
    },
  });
}
