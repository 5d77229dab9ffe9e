import { AppShell, Burger, Group, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useSuspenseQuery } from '@tanstack/react-query';
import { Link, Outlet, useLocation, useRouter } from '@tanstack/react-router';
import { useEffect } from 'react';
import { missingRole } from './areas.js';
import { ColorSchemeButton } from './color-scheme-button.js';
import { Navigation } from './navigation.js';
import { OfflineBanner } from './offline-banner.js';
import { RoleRequired } from './role-required.js';
import { type SignedIn, sessionQuery } from './session.js';
import classes from './shell.module.css';
import { useSessionGuard } from './use-session-guard.js';
import { UserPanel } from './user-panel.js';

/** The frame of all pages. */
export function Shell() {
  const { data: session } = useSuspenseQuery(sessionQuery);
  useSessionGuard(session.signedIn);
  useFocusOnNewPage();
  return session.signedIn ? <Frame session={session} /> : <Outlet />;
}

function Frame({ session }: { readonly session: SignedIn }) {
  const [isOpen, { toggle, close }] = useDisclosure();
  const pathname = useLocation({ select: (location) => location.pathname });
  const role = missingRole(session.user, pathname);
  useEffect(() => close(), [pathname, close]);
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 208, breakpoint: 'sm', collapsed: { mobile: !isOpen } }}
      padding={{ base: 'sm', sm: 'lg' }}
    >
      <a className={classes['skip']} href="#main">
        Skip to the content
      </a>
      <AppShell.Header className={classes['bar']}>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="xs" wrap="nowrap">
            <Burger
              opened={isOpen}
              onClick={toggle}
              hiddenFrom="sm"
              size="sm"
              aria-label={isOpen ? 'Close the navigation' : 'Open the navigation'}
              aria-expanded={isOpen}
            />
            <Link to="/" className={classes['brand']}>
              <img src="/twinbox.svg" alt="" width={28} height={28} />
              <Text fw={700} component="span">
                Twinbox
              </Text>
            </Link>
          </Group>
          <ColorSchemeButton />
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" className={classes['bar']}>
        <AppShell.Section grow>
          <Navigation user={session.user} />
        </AppShell.Section>
        <UserPanel user={session.user} />
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1}>
        <OfflineBanner />
        {role ? <RoleRequired role={role} /> : <Outlet />}
      </AppShell.Main>
    </AppShell>
  );
}

/** Moves the focus to the heading of a new page, so that screen readers announce it and the keyboard continues there. */
function useFocusOnNewPage(): void {
  const router = useRouter();
  useEffect(
    () =>
      router.subscribe('onRendered', ({ fromLocation, pathChanged }) => {
        if (!fromLocation || !pathChanged) return;
        const main = document.querySelector<HTMLElement>('main');
        (main?.querySelector<HTMLElement>('h1[tabindex]') ?? main)?.focus({ preventScroll: true });
      }),
    [router],
  );
}
