import { InvalidInputError, type LetterPage, type Page } from '@twinbox/messaging';
import { CursorCodec, type CursorPageQuery } from '../http/pages.js';
import { validationProblem } from '../http/validation-problem.js';

const cursors = new CursorCodec({ after: 'text' });

/**
 * Reads a page of a list of the messaging library. The cursor of the API is valid only for the same list and filters, which the library's
 * own one does not check.
 * @throws ProblemException 400 if the cursor is invalid
 */
export async function readPage<T>(
  { limit, cursor }: CursorPageQuery,
  scope: object,
  read: (page: LetterPage) => Promise<Page<T>>,
): Promise<Page<T>> {
  const after = cursors.decode(cursor, scope)?.after;
  const { items, nextCursor } = await read({ limit, cursor: after }).catch((error: unknown) => {
    // Everything else has been validated before.
    if (error instanceof InvalidInputError && after !== undefined)
      throw validationProblem([{ parameter: 'cursor', detail: 'is not a cursor of this list' }]);
    throw error;
  });
  return { items, nextCursor: nextCursor === null ? null : cursors.encode({ after: nextCursor }, scope) };
}
