import { Allowance } from './allowance.js';

it('P7 gives each user no more than is allowed at a time', () => {
  const allowance = new Allowance(10);

  const first = allowance.take('ada', 7);

  expect(allowance.take('ada', 4)).toBeUndefined();
  expect(allowance.take('ada', 3)).toBeDefined();
  expect(allowance.take('ada', 0)).toBeDefined();
  expect(allowance.take('bob', 10)).toBeDefined();
  first?.();
  first?.();
  expect(allowance.take('ada', 8)).toBeUndefined();
  expect(allowance.take('ada', 7)).toBeDefined();
});

it('P7 forgets a user who has returned everything', () => {
  const allowance = new Allowance(10);

  allowance.take('ada', 5)?.();
  allowance.take('bob', 0);

  expect((allowance as unknown as { taken: Map<string, number> }).taken.size).toBe(0);
});
