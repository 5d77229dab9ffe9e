import { useDatabase } from './given-servers.js';

it.each([
  ['asks for TLS that only looks secure', 'sslmode=require', 'sslmode=require encrypts, but accepts any server'],
  [
    'names a missing file',
    'sslmode=verify-full&sslrootcert=/no/such/ca.pem',
    '/no/such/ca.pem cannot be read (ENOENT)',
  ],
])('P10 a DATABASE_URL that %s is refused like by the services, without its password', async (_, query, reason) => {
  const outcome: unknown = await useDatabase(`postgres://admin:s3cret@127.0.0.1:1/db?${query}`).catch(
    (error: unknown) => error,
  );

  expect(String(outcome)).toContain(reason);
  expect(String(outcome)).not.toContain('s3cret');
});
