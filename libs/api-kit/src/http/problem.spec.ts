import { accept, reject } from '@twinbox/kernel';
import { QueryFailedError, QueryRunnerAlreadyReleasedError, QueryRunnerProviderAlreadyReleasedError } from 'typeorm';
import { classifyDatabaseError } from '../database/database-errors.js';
import { problemDocument, problemOf, type ProblemTable, stateOrProblem } from './problem.js';

type Rejection =
  | { readonly code: 'order-not-found' | 'order-empty'; readonly orderId: string }
  | { readonly code: 'insufficient-stock'; readonly short: readonly string[]; readonly status?: number };

const table: ProblemTable<Rejection> = {
  'order-not-found': { status: 404, title: 'There is no such order.' },
  'order-empty': { status: 422, title: 'The order has no items.' },
  'insufficient-stock': {
    status: 409,
    title: 'Too little stock.',
    detail: ({ short }) => `Short: ${short.join(', ')}.`,
  },
};

describe('problemOf', () => {
  it('describes a rejection with the texts of the table and its fields as extension members', () => {
    const { problem } = problemOf<Rejection>({ code: 'insufficient-stock', short: ['tea'] }, table);

    expect(problemDocument(problem, 'r1')).toEqual({
      type: 'urn:twinbox:problem:insufficient-stock',
      title: 'Too little stock.',
      status: 409,
      detail: 'Short: tea.',
      instance: 'urn:request:r1',
      short: ['tea'],
    });
  });

  it('does not let an extension member override a standard one', () => {
    const { problem } = problemOf<Rejection>({ code: 'insufficient-stock', short: [], status: 200 }, table);

    expect(problemDocument(problem, 'r1')).toMatchObject({ status: 409 });
  });

  it('truncates the detail to 2,000 characters without splitting one', () => {
    const { problem } = problemOf<Rejection>({ code: 'insufficient-stock', short: [`x${'😀'.repeat(50_000)}`] }, table);

    const { detail } = problemDocument(problem, 'r1') as { detail: string };

    expect(detail).toHaveLength(2000);
    expect(detail.isWellFormed()).toBe(true);
    expect(detail).toMatch(/😀.?…$/u);
  });
});

describe('stateOrProblem', () => {
  it('returns the state of an accepted decision', () => {
    const decision = accept((state: number, event: number) => state + event, 1, 2);

    expect(stateOrProblem<number, number, Rejection>(decision, table)).toBe(3);
  });

  it('throws the problem of a rejected decision', () => {
    const decision = reject<Rejection>({ code: 'order-not-found', orderId: 'o1' });

    expect(() => stateOrProblem(decision, table)).toThrow(
      expect.objectContaining({ problem: expect.objectContaining({ status: 404, members: { orderId: 'o1' } }) }),
    );
  });
});

describe('classifyDatabaseError', () => {
  const coded = (code: string) => Object.assign(new Error('some words'), { code });

  it.each(['08006', '57P01', '57P03', '53300', '3D000', '28P01', '25006', '58030', 'ECONNREFUSED', 'ECONNRESET'])(
    'classifies %s as an unavailable database',
    (code) => {
      expect(classifyDatabaseError(coded(code))).toBe('database-unavailable');
    },
  );

  it.each([new QueryRunnerAlreadyReleasedError(), new QueryRunnerProviderAlreadyReleasedError()])(
    'classifies a connection that broke between two statements as an unavailable database: %s',
    (error) => {
      expect(classifyDatabaseError(error)).toBe('database-unavailable');
    },
  );

  it.each(['40001', '40P01', '55P03', '57014', '26000'])('classifies %s as an error to retry', (code) => {
    expect(classifyDatabaseError(coded(code))).toBe('try-again');
  });

  it.each(['23505', '22P02', '42P01', 'ENOENT'])('classifies %s as neither', (code) => {
    expect(classifyDatabaseError(coded(code))).toBeUndefined();
  });

  it('classifies any error that ends the session as an unavailable database', () => {
    expect(classifyDatabaseError(Object.assign(coded('55000'), { severity: 'FATAL' }))).toBe('database-unavailable');
    expect(classifyDatabaseError(Object.assign(coded('55000'), { severity: 'ERROR' }))).toBeUndefined();
  });

  it('finds the cause inside other errors', () => {
    const refused = coded('ECONNREFUSED');

    expect(classifyDatabaseError(new QueryFailedError('select 1', [], refused))).toBe('database-unavailable');
    expect(classifyDatabaseError(new AggregateError([coded('EACCES'), refused]))).toBe('database-unavailable');
    expect(classifyDatabaseError(new Error('outer', { cause: refused }))).toBe('database-unavailable');
  });

  it('accepts any thrown value', () => {
    const loop: { cause?: unknown } = {};
    loop.cause = loop;

    for (const thrown of [undefined, null, 'text', 7, loop]) expect(classifyDatabaseError(thrown)).toBeUndefined();
  });
});
