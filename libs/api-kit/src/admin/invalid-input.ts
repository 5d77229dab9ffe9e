import { InvalidInputError } from '@twinbox/messaging';
import { problemOf } from '../http/problem.js';
import { adminProblems } from './admin-problems.js';

/**
 * Turns what the library says about an invalid filter or option into a problem.
 * @throws ProblemException 422; any other error unchanged, because it is not the caller's fault
 */
export async function operationOrProblem<T>(result: Promise<T>): Promise<T> {
  return result.catch((error: unknown) => {
    if (error instanceof InvalidInputError)
      throw problemOf({ code: 'operation-invalid', reason: error.message.replace(/\.$/, '') }, adminProblems);
    throw error;
  });
}
