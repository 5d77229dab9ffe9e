import { BadRequestException, NotFoundException } from '@nestjs/common';
import { ValidationError } from 'class-validator';
import { PermanentError } from '../errors.js';
import { failureOf } from './failures.js';
import { InterruptedError } from './transaction.js';

const fromPostgres = (code: string, message = 'Verklemmung entdeckt') => Object.assign(new Error(message), { code });

describe('P5 what an error means for a message', () => {
  it.each([
    ['40001', 'contended'],
    ['40P01', 'contended'],
    ['55P03', 'contended'],
    ['08006', 'unavailable'],
    ['25006', 'unavailable'],
    ['53100', 'unavailable'],
    ['57P03', 'unavailable'],
    ['58030', 'unavailable'],
    ['57014', 'timed-out'],
    ['26000', 'stale'],
  ])('is a setback for SQLSTATE %s, in any language: %s', (code, setback) => {
    expect(failureOf(fromPostgres(code))).toBe(setback);
    // As wrapped by TypeORM, and by a handler that adds context.
    expect(failureOf(Object.assign(new Error('failed'), { driverError: fromPostgres(code) }))).toBe(setback);
    expect(failureOf(new Error('while saving', { cause: fromPostgres(code) }))).toBe(setback);
    expect(failureOf(new AggregateError([new Error('other'), fromPostgres(code)]))).toBe(setback);
  });

  it.each(['23505', '23503', '42P01', '25P02', 'P0001'])('is a failed attempt for SQLSTATE %s', (code) => {
    expect(failureOf(fromPostgres(code, 'deadlock detected'))).toBe('attempt');
  });

  it.each(['22001', '22012', '23502', '54000'])('is that it can never succeed for SQLSTATE %s', (code) => {
    expect(failureOf(fromPostgres(code))).toBe('never');
  });

  it('is nothing if the connection was lost, whatever the cause', () => {
    expect(failureOf(new InterruptedError(new PermanentError('never')))).toBe('away');
  });

  it('is that it can never succeed for a PermanentError or a validation error', () => {
    const errors = [
      new PermanentError('no'),
      new BadRequestException(),
      new ValidationError(),
      [new ValidationError()],
    ];

    expect(errors.map(failureOf)).toEqual(['never', 'never', 'never', 'never']);
  });

  it('is a failed attempt for any other error', () => {
    const loop = new Error('loop');
    loop.cause = loop;

    expect([new Error('no'), 'no', undefined, null, [], loop, new NotFoundException()].map(failureOf)).toEqual(
      Array.from({ length: 7 }, () => 'attempt'),
    );
  });
});
