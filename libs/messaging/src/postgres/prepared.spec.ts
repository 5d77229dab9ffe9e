import { PREPARED, prepared } from './prepared.js';

it('a prepared statement begins with the mark, with nothing before it', () => {
  const statement = prepared('select $1::int');

  expect(statement).toBe('/* prepared */ select $1::int');
  expect(statement.startsWith(PREPARED)).toBe(true);
});

it('hides the lengths of arrays from the planner', () => {
  expect(prepared('select from unnest($1::uuid[], $12::text[]) where id = any($1::uuid[]) and n = $2::int')).toBe(
    '/* prepared */ select from unnest((select $1::uuid[])::uuid[], (select $12::text[])::text[]) ' +
      'where id = any((select $1::uuid[])::uuid[]) and n = $2::int',
  );
});
