import { reveal } from './secret.js';

it('returns a fixed secret', () => {
  expect(reveal('s3cret')).toBe('s3cret');
});

it('asks for the present value each time', () => {
  let value = 'old';
  const secret = () => value;
  expect(reveal(secret)).toBe('old');

  value = 'new';

  expect(reveal(secret)).toBe('new');
});
