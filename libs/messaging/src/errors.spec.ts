import { describeError } from './errors.js';

describe('describeError', () => {
  it.each([
    ['a message', new Error('broken'), 'broken'],
    ['its causes', new Error('cannot', { cause: new Error('because') }), 'cannot: because'],
    [
      'a cause once if the message repeats it',
      new Error('cannot: because', { cause: new Error('because') }),
      'cannot: because',
    ],
    ['the first of several', new AggregateError([new Error('first'), new Error('second')]), 'first'],
    ['a code if there is no message', Object.assign(new Error(''), { code: 'ECONNREFUSED' }), 'ECONNREFUSED'],
    ['a value that is not an error', 'text', 'text'],
  ])('describes %s', (_, error, text) => {
    expect(describeError(error)).toBe(text);
  });
});
