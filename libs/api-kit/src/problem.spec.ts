import { accept, reject } from '@twinbox/kernel';
import { QueryFailedError, QueryRunnerAlreadyReleasedError, QueryRunnerProviderAlreadyReleasedError } from 'typeorm';
import { databaseTrouble } from './database-trouble.js';
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
  it('tells a rejection in the words of the table, with its facts as extension members', () => {
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

  it('lets no extension member hide a standard one', () => {
    const { problem } = problemOf<Rejection>({ code: 'insufficient-stock', short: [], status: 200 }, table);

    expect(problemDocument(problem, 'r1')).toMatchObject({ status: 409 });
  });

  it('quotes at most 2,000 characters, and no half of one', () => {
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

  it('throws the problem of a rejected one', () => {
    const decision = reject<Rejection>({ code: 'order-not-found', orderId: 'o1' });

    expect(() => stateOrProblem(decision, table)).toThrow(
      expect.objectContaining({ problem: expect.objectContaining({ status: 404, members: { orderId: 'o1' } }) }),
    );
  });
});

describe('databaseTrouble', () => {
  const coded = (code: string) => Object.assign(new Error('some words'), { code });

  it.each(['08006', '57P01', '57P03', '53300', '3D000', '28P01', '25006', '58030', 'ECONNREFUSED', 'ECONNRESET'])(
    'takes %s for a database that is away',
    (code) => {
      expect(databaseTrouble(coded(code))).toBe('database-unavailable');
    },
  );

  it.each([new QueryRunnerAlreadyReleasedError(), new QueryRunnerProviderAlreadyReleasedError()])(
    'takes a connection that broke between two statements for a database that is away: %s',
    (error) => {
      expect(databaseTrouble(error)).toBe('database-unavailable');
    },
  );

  it.each(['40001', '40P01', '55P03', '57014', '26000'])('takes %s for something to try again', (code) => {
    expect(databaseTrouble(coded(code))).toBe('try-again');
  });

  it.each(['23505', '22P02', '42P01', 'ENOENT'])('takes %s for neither', (code) => {
    expect(databaseTrouble(coded(code))).toBeUndefined();
  });

  it('takes whatever ends the session for a database that is away', () => {
    expect(databaseTrouble(Object.assign(coded('55000'), { severity: 'FATAL' }))).toBe('database-unavailable');
    expect(databaseTrouble(Object.assign(coded('55000'), { severity: 'ERROR' }))).toBeUndefined();
  });

  it('looks into what other errors wrap', () => {
    const refused = coded('ECONNREFUSED');

    expect(databaseTrouble(new QueryFailedError('select 1', [], refused))).toBe('database-unavailable');
    expect(databaseTrouble(new AggregateError([coded('EACCES'), refused]))).toBe('database-unavailable');
    expect(databaseTrouble(new Error('outer', { cause: refused }))).toBe('database-unavailable');
  });

  it('survives anything that is thrown', () => {
    const loop: { cause?: unknown } = {};
    loop.cause = loop;

    for (const thrown of [undefined, null, 'text', 7, loop]) expect(databaseTrouble(thrown)).toBeUndefined();
  });
});
