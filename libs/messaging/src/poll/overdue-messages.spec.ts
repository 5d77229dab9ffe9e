import { Logger } from '@nestjs/common';
import { OverdueMessages } from './overdue-messages.js';

const old = { seconds: 31, leased: false };
const logger = new Logger('test');
beforeAll(() => Logger.overrideLogger(false));

function found(...polls: Parameters<OverdueMessages['found']>[0][]): OverdueMessages {
  const overdue = new OverdueMessages(30_000, logger);
  for (const oldest of polls) overdue.found(oldest);
  return overdue;
}

it('reports a message that three polls in a row found unpublished for too long', () => {
  expect(found(old, old, old).problem('elsewhere')).toContain('has waited for 31 s, and no relay holds the lease');
});

it('does not report a message that was old when it was committed, and is published at once', () => {
  expect(found(old, old, undefined, old).problem('leader')).toBeUndefined();
});

it('does not report a younger backlog', () => {
  const young = { seconds: 29, leased: true };

  expect(found(young, young, young, young).problem('leader')).toBeUndefined();
});

it('reports nothing when it is switched off', () => {
  const overdue = new OverdueMessages(false, logger);
  for (const oldest of [old, old, old, old]) overdue.found(oldest);

  expect(overdue.problem('elsewhere')).toBeUndefined();
});

it('is healthy again once nothing is overdue', () => {
  expect(found(old, old, old, undefined).problem('standby')).toBeUndefined();
});

it.each([
  ['standby', /although a relay holds the lease/],
  ['elsewhere', /although a relay holds the lease/],
  ['leader', /has waited for 31 s$/],
] as const)('tells the operator where to look: %s', (role, text) => {
  const held = { ...old, leased: true };

  expect(found(held, held, held).problem(role)).toMatch(text);
});
