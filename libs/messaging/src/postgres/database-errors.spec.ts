import { QueryFailedError, QueryRunnerProviderAlreadyReleasedError } from 'typeorm';
import { CONSEQUENCES, type DatabaseError, databaseErrorOf } from './database-errors.js';

const fromPostgres = (code: string, fields: object = {}) =>
  Object.assign(new Error('Verklemmung entdeckt'), { code, severity: 'FEHLER', ...fields });

/** Every class of appendix A that a statement may raise, and the exceptions within the classes. */
const EXPECTED: Readonly<Record<DatabaseError, string>> = {
  unavailable: `
    08000 08001 08003 08004 08006 08007 08P01 28000 28P01 3D000 40003 53000 53100 53200
    53300 53400 57P01 57P02 57P03 57P04 57P05 58000 58030 58P01 58P02 XX001 XX002 F0000
    25006 25P03 25P04 HV00N`,
  'timed-out': '57014',
  contended: '40001 40P01 55P03 55006 72000',
  stale: '26000 42P05',
  never: `
    22000 22001 22003 22007 22008 22012 22021 22023 22P02 22P05 22032 23502 54000 54001
    54011 54023`,
  rejected: `
    03000 09000 0A000 0B000 0F000 0L000 0P000 0Z000 20000 21000 23000 23001 23503 23505
    23514 23P01 24000 25000 25001 25P01 25P02 27000 2B000 2D000 2F000 34000 38000 39000
    3B000 3F000 40000 40002 42501 42601 42703 42804 42883 42P01 44000 55000 55P02 55P04
    57000 HV000 P0000 P0001 P0002 XX000`,
};

describe('the class of a database error', () => {
  const cases = Object.entries(EXPECTED).flatMap(([expected, codes]) =>
    codes
      .trim()
      .split(/\s+/)
      .map((code) => [code, expected] as const),
  );

  it.each(cases)('for SQLSTATE %s, in any language, is %s', (code, expected) => {
    expect(databaseErrorOf(fromPostgres(code))).toBe(expected);
    // As wrapped by TypeORM, by a handler that adds context, and as one of several errors.
    expect(databaseErrorOf(new QueryFailedError('select', [], fromPostgres(code)))).toBe(expected);
    expect(databaseErrorOf(new Error('while saving', { cause: fromPostgres(code) }))).toBe(expected);
    expect(databaseErrorOf(new AggregateError([new Error('other'), fromPostgres(code)]))).toBe(expected);
  });

  it('distinguishes outdated plans and concurrent catalogue changes from other errors with the same codes', () => {
    expect(databaseErrorOf(fromPostgres('0A000', { routine: 'RevalidateCachedQuery' }))).toBe('stale');
    expect(databaseErrorOf(fromPostgres('0A000', { message: 'cached plan must not change result type' }))).toBe(
      'stale',
    );
    expect(databaseErrorOf(fromPostgres('XX000', { message: 'tuple concurrently updated' }))).toBe('contended');
  });

  it.each([
    ['0A000', 'cannot set transaction read-write mode during recovery'],
    ['0A000', 'cannot use serializable mode in a hot standby'],
    ['0A000', 'cannot access temporary or unlogged relations during recovery'],
    ['55000', 'recovery is in progress'],
  ])('is `unavailable` for what a standby refuses with another code than 25006: %s %s', (code, message) => {
    expect(databaseErrorOf(fromPostgres(code, { message }))).toBe('unavailable');
  });

  it.each(['FATAL', 'PANIC'])('is `unavailable` for any error that ended the session: %s', (severity) => {
    expect(databaseErrorOf(fromPostgres('55000', { severity }))).toBe('unavailable');
    expect(databaseErrorOf(fromPostgres('22023', { severity }))).toBe('unavailable');
  });

  it.each([
    new Error('Connection terminated unexpectedly'),
    new Error('The server does not support SSL connections'),
    new Error('timeout exceeded when trying to connect'),
    new Error('Query read timeout'),
    new QueryRunnerProviderAlreadyReleasedError(),
    new QueryFailedError('select', [], Object.assign(new Error(), { code: 'ECONNRESET' })),
    new QueryFailedError('select', [], new AggregateError([Object.assign(new Error(), { code: 'ECONNREFUSED' })])),
  ])('recognises a lost connection by the drivers’ messages: %s', (error) => {
    expect(databaseErrorOf(error)).toBe('unavailable');
  });

  it('counts a socket error only from a statement, unless there are no other sockets', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });

    expect(databaseErrorOf(refused)).toBeUndefined();
    expect(databaseErrorOf(refused, { anySocket: true })).toBe('unavailable');
  });

  it.each([
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'CERT_HAS_EXPIRED',
    'ERR_SSL_NO_SHARED_CIPHER',
  ])('is `unavailable` for a server that cannot be trusted: %s', (code) => {
    const untrusted = Object.assign(new Error('untrusted'), { code });

    expect(databaseErrorOf(untrusted)).toBeUndefined();
    expect(databaseErrorOf(untrusted, { anySocket: true })).toBe('unavailable');
    expect(databaseErrorOf(new QueryFailedError('select', [], untrusted))).toBe('unavailable');
  });

  it('is that of the setback if there are several errors', () => {
    const error = new AggregateError([fromPostgres('23505'), fromPostgres('22001'), fromPostgres('57014')]);

    expect(databaseErrorOf(error)).toBe('timed-out');
    expect(databaseErrorOf(new AggregateError(error.errors.slice(0, 2)))).toBe('never');
  });

  it('survives anything that is thrown', () => {
    const loop: { cause?: unknown } = {};
    loop.cause = loop;

    for (const thrown of [undefined, null, 'text', 7, [], loop, new Error('no'), { code: 'EPIPE' }, { code: 42 }])
      expect(databaseErrorOf(thrown)).toBeUndefined();
  });
});

it('setbacks, and nothing else, can be retried over HTTP', () => {
  for (const { http, work } of Object.values(CONSEQUENCES)) expect(http !== undefined).toBe(work === 'setback');
});
