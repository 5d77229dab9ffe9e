import { actorOf, actorSeenBy, isOperator } from './caller.js';
import { callerOf } from './caller-headers.js';
import { ProblemException } from './problem.js';

const headers = (user?: string, ...roles: string[]) => ({
  ...(user !== undefined && { 'x-user-id': [user] }),
  'x-roles': roles,
});

/** Encodes text as Node decodes the bytes of a header. */
const inUtf8 = (text: string) => Buffer.from(text).toString('latin1');

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
  it('treats a caller without roles as a customer', () => {
    expect(callerOf(headers(' ada '))).toEqual({ userId: 'ada', roles: new Set(['customer']) });
  });

  it('grants exactly the roles that are listed, in one header or several', () => {
    expect(callerOf(headers('ada', 'operator, customer ,', '')).roles).toEqual(new Set(['operator', 'customer']));
    expect(callerOf(headers('ada', 'operator', 'customer')).roles).toEqual(new Set(['operator', 'customer']));
  });

  it('P10 makes an admin an operator too', () => {
    expect(callerOf(headers('root', 'admin')).roles).toEqual(new Set(['admin', 'operator']));
  });

  it('decodes a user id as UTF-8, or as Latin-1 if it is not valid UTF-8', () => {
    expect(callerOf(headers(Buffer.from('Zoë 🦊').toString('latin1'))).userId).toBe('Zoë 🦊');
    expect(callerOf(headers('Zo\u00eb')).userId).toBe('Zoë');
  });

  it('accepts a user id of 255 characters, whatever their length in bytes', () => {
    const longest = '🦊'.repeat(255);

    expect(callerOf(headers(Buffer.from(longest).toString('latin1'))).userId).toBe(longest);
    expect(refusalOf(headers(Buffer.from(`${longest}x`).toString('latin1')))).toContain('longer than 255');
  });

  it.each([
    ['no user', headers(), 'missing or empty'],
    ['an empty name', headers(' '), 'missing or empty'],
    ['two users', { 'x-user-id': ['ada', 'bob'] }, 'more than once'],
    ['control characters', headers('a\tb'), 'control character'],
    ['a no-break space in Latin-1', headers('ada\u00a0'), 'U+00A0, an invisible or ambiguous character'],
    ['a role with a no-break space', headers('ada', 'operator\u00a0'), 'X-Roles contains'],
    ['an unknown role', headers('ada', 'customer,root'), 'X-Roles contains "root"'],
    ['a role in the wrong case', headers('ada', 'Operator'), 'X-Roles contains "Operator"'],
  ])('rejects %s', (_, given, detail) => {
    expect(refusalOf(given)).toContain(detail);
  });

  it.each([
    ['a no-break space', '\u00a0'],
    ['a soft hyphen', '\u00ad'],
    ['a bidirectional mark', '\u200e'],
    ['a bidirectional override', '\u202e'],
    ['a bidirectional isolate', '\u2066'],
    ['an Arabic letter mark', '\u061c'],
    ['a zero-width space', '\u200b'],
    ['a zero-width joiner', '\u200d'],
    ['a word joiner', '\u2060'],
    ['a byte order mark', '\ufeff'],
    ['a line separator', '\u2028'],
    ['a paragraph separator', '\u2029'],
    ['an em space', '\u2003'],
    ['an ideographic space', '\u3000'],
    ['a Hangul filler', '\u3164'],
    ['a variation selector', '\ufe0f'],
    ['a tag character', '\u{e0041}'],
    ['an empty Braille pattern', '\u2800'],
    ['an object replacement character', '\ufffc'],
    ['a private character', '\ue000'],
    ['a private character of plane 16', '\u{10fffd}'],
    ['an unassigned character', '\u0378'],
    ['a noncharacter', '\ufdd0'],
  ])('rejects a user id with %s, wherever it occurs', (_, character) => {
    for (const user of [`a${character}b`, `${character}ada`, `ada${character}`, character])
      expect(refusalOf(headers(inUtf8(user)))).toContain('an invisible or ambiguous character');
  });
});

describe('an actor', () => {
  it.each([
    ['customer', ['customer'], 'customer:ada', false],
    ['operator', ['operator'], 'operator:ada', true],
    ['operator who shops too', ['customer', 'operator'], 'operator:ada', true],
    ['admin', ['admin'], 'admin:ada', true],
    ['admin who shops too', ['customer', 'admin'], 'admin:ada', true],
  ])('is named after the most powerful role: %s', (_, roles, actor, operates) => {
    const caller = callerOf(headers('ada', ...roles));

    expect(actorOf(caller)).toBe(actor);
    expect(isOperator(caller)).toBe(operates);
  });

  it.each([
    ['operator:olga', 'operator'],
    ['operator:olga\noscar', 'operator'],
    ['admin:root', 'operator'],
    ['customer:ada', 'customer:ada'],
    ['payment-service', 'payment-service'],
  ])('is shown to customers without the name of an operator or admin: %j', (actor, seen) => {
    expect(actorSeenBy(callerOf(headers('ada')), actor)).toBe(seen);
    expect(actorSeenBy(callerOf(headers('olga', 'operator')), actor)).toBe(actor);
  });
});
