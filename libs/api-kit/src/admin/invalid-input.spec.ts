import { InvalidInputError } from '@twinbox/messaging';
import { CursorCodec } from '../http/pages.js';
import { readPage } from './admin-pages.js';
import { operationOrProblem } from './invalid-input.js';

const BUGS = [
  new TypeError("Cannot read properties of undefined (reading 'id')"),
  new RangeError('Invalid array length'),
];
const cursor = new CursorCodec({ after: 'text' }).encode({ after: '17' }, {});

it('an operation that the library refuses is a problem with its reason', async () => {
  const refused = Promise.reject(new InvalidInputError('No filter given.'));

  await expect(operationOrProblem(refused)).rejects.toMatchObject({
    problem: { code: 'operation-invalid', status: 422, detail: 'No filter given.' },
  });
});

it('a cursor that the library refuses is a problem', async () => {
  const read = () => Promise.reject(new InvalidInputError('"17" is not a valid cursor'));

  await expect(readPage({ cursor, limit: 50 }, {}, read)).rejects.toMatchObject({
    problem: { code: 'validation', status: 400 },
  });
});

it.each(BUGS)('%s in an operation or a list is not blamed on the caller', async (bug) => {
  await expect(operationOrProblem(Promise.reject(bug))).rejects.toBe(bug);
  await expect(readPage({ cursor, limit: 50 }, {}, () => Promise.reject(bug))).rejects.toBe(bug);
});
