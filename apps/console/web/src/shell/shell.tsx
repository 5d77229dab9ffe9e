import { Burger, Group, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useSuspenseQuery } from '@tanstack/react-query';
import { Link, Outlet, useLocation, useMatch } from '@tanstack/react-router';
import { useEffect } from 'react';
import { Loading } from '../shared/states.js';
import { missingRole } from './areas.js';
import { ColorSchemeButton } from './color-scheme-button.js';
import { Navigation } from './navigation.js';
import { OfflineBanner } from './offline-banner.js';
import { RoleRequired } from './role-required.js';
import { SessionContext, type SignedIn, sessionQuery } from './session.js';
import classes from './shell.module.css';
import { useFocusOnNewPage } from './use-focus-on-new-page.js';
import { useSessionGuard } from './use-session-guard.js';
import { UserPanel } from './user-panel.js';

/** The frame of all pages. */
export function Shell() {
  const { data: session } = useSuspenseQuery(sessionQuery);
  useSessionGuard(session.signedIn);
  useFocusOnNewPage();
  // Not the location, which is ahead of the page that is shown.
  const isSignIn = useMatch({ from: '/sign-in', shouldThrow: false }) !== undefined;
  if (session.signedIn && !isSignIn)
    return (
      <SessionContext value={session}>
        <Frame session={session} />
      </SessionContext>
    );
  // Until the router has left the page of somebody whose session has ended.
  return isSignIn ? <Outlet /> : <Loading />;
}

function Frame({ session }: { readonly session: SignedIn }) {
  const [isOpen, { toggle, close }] = useDisclosure();
  const pathname = useLocation({ select: (location) => location.pathname });
  const role = missingRole(session.user, pathname);
  useEffect(() => close(), [pathname, close]);
  return (
    <>
      <a className={classes['skip']} href="#main">
        Skip to the content
      </a>
      <header className={classes['header']}>
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
      </header>
      <div className={classes['side']} data-open={isOpen}>
        <Navigation user={session.user} />
        <UserPanel user={session.user} />
      </div>
      <main id="main" tabIndex={-1} className={classes['main']}>
        <OfflineBanner />
        {role ? <RoleRequired role={role} /> : <Outlet />}
      </main>
    </>
  );
}
