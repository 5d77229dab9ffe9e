import { actorOf, callerOf, isOperator } from './caller.js';
import { ProblemException } from './problem.js';

const headers = (user?: string, ...roles: string[]) => ({
  ...(user !== undefined && { 'x-user-id': [user] }),
  'x-roles': roles,
});

function refusalOf(given: NodeJS.Dict<string[]>): string | undefined {
  try {
    callerOf(given);
  } catch (error) {
    if (error instanceof ProblemException && error.problem.status === 401) return error.problem.detail;
    throw error;
  }
  return undefined;
}

describe('callerOf', () => {
  it('takes a caller without roles for a customer', () => {
    expect(callerOf(headers(' ada '))).toEqual({ userId: 'ada', roles: new Set(['customer']) });
  });

  it('gives exactly the roles that are named, in one header or several', () => {
    expect(callerOf(headers('ada', 'operator, admin ,', '')).roles).toEqual(new Set(['operator', 'admin']));
    expect(callerOf(headers('ada', 'operator', 'admin')).roles).toEqual(new Set(['operator', 'admin']));
  });

  it('reads a user id in UTF-8, and in Latin-1 where it is no UTF-8', () => {
    expect(callerOf(headers(Buffer.from('Zoë 🦊').toString('latin1'))).userId).toBe('Zoë 🦊');
    expect(callerOf(headers('Zo\u00eb')).userId).toBe('Zoë');
  });

  it('counts characters, not bytes: 255 of any are a user id', () => {
    const longest = '🦊'.repeat(255);

    expect(callerOf(headers(Buffer.from(longest).toString('latin1'))).userId).toBe(longest);
    expect(refusalOf(headers(Buffer.from(`${longest}x`).toString('latin1')))).toContain('longer than 255');
  });

  it.each([
    ['nobody', headers(), 'Say who you are'],
    ['an empty name', headers(' '), 'Say who you are'],
    ['two users', { 'x-user-id': ['ada', 'bob'] }, 'more than once'],
    ['control characters', headers('a\tb'), 'control character'],
    ['an unknown role', headers('ada', 'customer,root'), 'X-Roles names "root"'],
    ['a role of the wrong case', headers('ada', 'Operator'), 'X-Roles names "Operator"'],
  ])('refuses %s', (_, given, detail) => {
    expect(refusalOf(given)).toContain(detail);
  });
});

describe('an actor', () => {
  it.each([
    ['customer', ['customer'], 'customer:ada', false],
    ['operator', ['operator'], 'operator:ada', true],
    ['operator who shops too', ['customer', 'operator'], 'operator:ada', true],
    ['admin', ['admin'], 'customer:ada', false],
  ])('is a %s by the roles of the caller', (_, roles, actor, operates) => {
    const caller = callerOf(headers('ada', ...roles));

    expect(actorOf(caller)).toBe(actor);
    expect(isOperator(caller)).toBe(operates);
  });
});
