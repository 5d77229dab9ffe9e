import { Alert, Anchor, Button, Paper, Stack, Text, Title } from '@mantine/core';
import { useQueryClient, useSuspenseQuery } from '@tanstack/react-query';
import { getRouteApi, Link, useRouter } from '@tanstack/react-router';
import { Failure } from '../shared/failure.js';
import { requestJson } from '../shared/http.js';
import { PageTitle } from '../shared/page.js';
import { useChange } from '../shared/use-change.js';
import { ColorSchemeButton } from './color-scheme-button.js';
import { type DemoUser, forgetData, type Session, sessionQuery } from './session.js';
import classes from './sign-in-page.module.css';

const route = getRouteApi('/sign-in');

const ERRORS: Readonly<Record<string, string>> = {
  access_denied: 'The sign-in was declined. Sign in with an account that may use the console.',
  sign_in_expired: 'The sign-in took too long. Start it again.',
  provider_unavailable: 'The sign-in service cannot be reached at the moment. Try again in a minute.',
};

/** Signs a person in, and returns to the page they came from. */
export function SignInPage() {
  const { data: session } = useSuspenseQuery(sessionQuery);
  const { next = '/', error } = route.useSearch();
  return (
    <main className={classes['page']} id="main" tabIndex={-1}>
      <PageTitle title="Sign in" />
      <div className={classes['corner']}>
        <ColorSchemeButton />
      </div>
      <Paper withBorder p="xl" w="100%" maw={420} className={classes['card']}>
        <Stack>
          <img src="/twinbox.svg" alt="" width={44} height={44} />
          <div>
            <Title order={1} size="h2" tabIndex={-1}>
              Sign in to Twinbox
            </Title>
            <Text c="dimmed" size="sm">
              Payments, orders and messages of the two services.
            </Text>
          </div>
          {error !== undefined && (
            <Alert role="alert" color="red" title="You are not signed in">
              {ERRORS[error] ?? 'The sign-in failed. Try again.'}
            </Alert>
          )}
          {session.signedIn && (
            <Text>
              You are signed in as {session.user.name ?? session.user.id}.{' '}
              <Anchor component={Link} to={next}>
                Continue
              </Anchor>
            </Text>
          )}
          {!session.signedIn && session.mode === 'jwt' && (
            <Button component="a" href={`/sign-in/start?${new URLSearchParams({ next }).toString()}`} size="md">
              Sign in
            </Button>
          )}
          {!session.signedIn && session.users && <DemoUsers users={session.users} next={next} />}
        </Stack>
      </Paper>
    </main>
  );
}

function DemoUsers({ users, next }: { readonly users: readonly DemoUser[]; readonly next: string }) {
  const queries = useQueryClient();
  const router = useRouter();
  const signIn = useChange(
    async (userId: string) => requestJson<Session>('/session', { method: 'POST', body: { userId } }),
    async (session) => {
      forgetData(queries);
      queries.setQueryData(sessionQuery.queryKey, session);
      await router.navigate({ href: next, replace: true });
    },
  );
  return (
    <Stack gap="xs">
      <Text size="sm">These services run in development mode. Choose who you are.</Text>
      {users.map(({ id, label, roles }) => (
        <Button
          key={id}
          variant="default"
          justify="space-between"
          rightSection={
            <Text span size="xs" c="dimmed">
              {roles.join(', ')}
            </Text>
          }
          loading={signIn.isPending && signIn.variables === id}
          disabled={signIn.isPending}
          onClick={() => signIn.mutate(id)}
        >
          {label}
        </Button>
      ))}
      {signIn.isError && <Failure error={signIn.error} />}
    </Stack>
  );
}
