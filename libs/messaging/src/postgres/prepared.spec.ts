import { PREPARED, prepared } from './prepared.js';

it('a prepared statement begins with the mark, with nothing before it', () => {
  const statement = prepared('select $1::int');

  expect(statement).toBe('/* prepared */ select $1::int');
  expect(statement.startsWith(PREPARED)).toBe(true);
});
