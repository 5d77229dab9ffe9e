import { BadRequestException, NotFoundException } from '@nestjs/common';
import { ValidationError } from 'class-validator';
import { PermanentError } from './errors.js';
import { failureOf } from './failures.js';
import { InterruptedError } from './inbox-transaction.js';

const fromPostgres = (code: string, message = 'Verklemmung entdeckt') => Object.assign(new Error(message), { code });

describe('P5 what an error means for a message', () => {
  it.each(['40001', '40P01', '55P03', '08006', '57P01', '57P02', '57P03', '53300'])(
    'is that others were in the way, when PostgreSQL says %s, in any language',
    (code) => {
      expect(failureOf(fromPostgres(code))).toBe('contended');
      // As TypeORM wraps it, and a handler that tells more.
      expect(failureOf(Object.assign(new Error('failed'), { driverError: fromPostgres(code) }))).toBe('contended');
      expect(failureOf(new Error('while saving', { cause: fromPostgres(code) }))).toBe('contended');
      expect(failureOf(new AggregateError([new Error('other'), fromPostgres(code)]))).toBe('contended');
    },
  );

  it.each(['23505', '22012', '42P01', '57014', '25P02'])('is a failed attempt, when PostgreSQL says %s', (code) => {
    expect(failureOf(fromPostgres(code, 'deadlock detected'))).toBe('attempt');
  });

  it('is nothing, when the connection was lost, whatever else it says', () => {
    expect(failureOf(new InterruptedError(new PermanentError('never')))).toBe('away');
  });

  it('is that it never succeeds, when the handler or a pipe says so', () => {
    const errors = [
      new PermanentError('no'),
      new BadRequestException(),
      new ValidationError(),
      [new ValidationError()],
    ];

    expect(errors.map(failureOf)).toEqual(['never', 'never', 'never', 'never']);
  });

  it('is a failed attempt, when it is anything else', () => {
    const loop = new Error('loop');
    loop.cause = loop;

    expect([new Error('no'), 'no', undefined, null, [], loop, new NotFoundException()].map(failureOf)).toEqual(
      Array.from({ length: 7 }, () => 'attempt'),
    );
  });
});
