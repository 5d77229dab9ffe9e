import { sslFileProblem, sslModeProblem } from './ssl-mode.js';

const url = (query: string) => `postgres://orders:s3cret@db:5432/shop${query}`;

it.each(['', '?sslmode=disable', '?sslmode=verify-full', '?sslmode=verify-full&sslrootcert=/ca.pem'])(
  'accepts %j',
  (query) => {
    expect(sslModeProblem(url(query), {})).toBeUndefined();
  },
);

it.each([
  ['allow', 'sends everything in plain text unless'],
  ['prefer', 'sends everything in plain text if'],
  ['require', 'accepts any server'],
  ['no-verify', 'accepts any server'],
  ['verify-ca', 'whatever its host name is'],
  ['Verify-Full', 'is unknown'],
])('P10 refuses sslmode=%s and says why', (mode, reason) => {
  const problem = sslModeProblem(url(`?sslmode=${mode}`), {});

  expect(problem).toContain(`sslmode=${mode} `);
  expect(problem).toContain(reason);
  expect(problem).toContain('Use sslmode=verify-full');
  expect(problem).not.toContain('s3cret');
});

it.each([
  ['?ssl=true', 'ssl is not supported'],
  ['?ssl=no-verify', 'ssl is not supported'],
  ['?sslmode=verify-full&uselibpqcompat=true', 'uselibpqcompat is not supported'],
  // node-postgres takes the last one, and nothing after a #.
  ['?sslmode=verify-full&sslmode=disable', 'sslmode is set twice'],
  ['?sslmode=verify-full&sslrootcert=/a.pem&sslrootcert=/b.pem', 'sslrootcert is set twice'],
  ['#?sslmode=verify-full', 'must be written as %23'],
  ['?sslrootcert=/ca.pem', 'sslrootcert needs sslmode=verify-full'],
  ['?sslmode=disable&sslcert=/c.pem&sslkey=/k.pem', 'sslcert and sslkey need sslmode=verify-full'],
  ['?sslmode=verify-full&sslcert=/c.pem', 'sslcert and sslkey need each other'],
])('P10 refuses %s', (query, problem) => {
  expect(sslModeProblem(url(query), {})).toContain(problem);
});

it('P10 refuses a mode in PGSSLMODE, unless the URL has another', () => {
  expect(sslModeProblem(url(''), { PGSSLMODE: 'require' })).toContain('PGSSLMODE=require encrypts');
  expect(sslModeProblem(url(''), { PGSSLMODE: 'verify-full' })).toBeUndefined();
  expect(sslModeProblem(url('?sslmode=verify-full'), { PGSSLMODE: 'require' })).toBeUndefined();
});

it('names a file that cannot be read', () => {
  const missing = '/no/such/ca.pem';

  expect(sslFileProblem(url(`?sslmode=verify-full&sslrootcert=${missing}`))).toBe(
    `sslrootcert=${missing} cannot be read (ENOENT)`,
  );
  expect(sslFileProblem(url('?sslmode=verify-full&sslrootcert=system'))).toContain(
    'sslrootcert=system is not supported',
  );
  expect(sslFileProblem(url(`?sslmode=verify-full&sslrootcert=${import.meta.filename}`))).toBeUndefined();
});
