import { ValidateBy } from 'class-validator';
import { searchWords } from '../../domain/search-words.js';

/** Bounds the cost of a search: each word looks up all products that have a word with that beginning. */
export const MOST_WORDS = 10;

export function HasFewWords(): PropertyDecorator {
  return ValidateBy({
    name: 'hasFewWords',
    validator: {
      validate: (value) => typeof value !== 'string' || searchWords(value).length <= MOST_WORDS,
      defaultMessage: (args) => `${args?.property} must have at most ${MOST_WORDS} different words`,
    },
  });
}
