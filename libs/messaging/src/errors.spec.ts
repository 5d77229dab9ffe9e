import { describeError } from './errors.js';

describe('describeError', () => {
  it.each([
    ['a message', new Error('broken'), 'broken'],
    ['its causes', new Error('cannot', { cause: new Error('because') }), 'cannot: because'],
    ['a cause once that it repeats', new Error('cannot: because', { cause: new Error('because') }), 'cannot: because'],
    ['the first of several', new AggregateError([new Error('first'), new Error('second')]), 'first'],
    ['a code where there is no message', Object.assign(new Error(''), { code: 'ECONNREFUSED' }), 'ECONNREFUSED'],
    ['what is no error', 'text', 'text'],
  ])('tells %s', (_, error, text) => {
    expect(describeError(error)).toBe(text);
  });
});
