import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { commonProblems, ProblemException } from '@twinbox/api-kit/edge';
import type { CallerSession } from './caller-session.js';
import type { ConsoleConfig } from './config.js';
import type { Cookies } from './cookies.js';
import { DEV_USERS, devCredentials } from './dev-users.js';
import type { Session, Sessions } from './sessions.js';
import type { SignIn } from './sign-in.js';

interface Parts {
  readonly config: ConsoleConfig;
  readonly sessions: Sessions;
  readonly cookies: Cookies;
  readonly caller: CallerSession;
  /** Undefined with AUTH_MODE=dev. */
  readonly signIn: SignIn | undefined;
}

/** Adds `/session`: who is signed in, the choice of a demo user, and the sign-out. */
export function addSessionRoutes(server: FastifyInstance, parts: Parts): void {
  const { config, sessions, cookies, caller, signIn } = parts;
  const described = (session: Session | undefined) => ({
    mode: config.AUTH_MODE,
    demo: config.DEMO === 'on',
    ...(session ? { signedIn: true, user: session.credentials.user } : signedOut(config)),
  });

  server.get('/session', (request) => described(caller.find(request)));
  if (config.AUTH_MODE === 'dev')
    server.post('/session', (request, reply) => {
      const { userId } = (request.body ?? {}) as { userId?: unknown };
      const user = DEV_USERS.find(({ id }) => id === userId);
      if (!user) throw unknownUser();
      const session = sessions.start(devCredentials(user), caller.find(request));
      cookies.setSession(reply, session.id);
      return described(session);
    });
  server.delete('/session', async (request: FastifyRequest, reply: FastifyReply) => {
    const session = caller.find(request);
    if (!session) return { next: '/sign-in' };
    caller.end(session, reply);
    const provider = await session.credentials.signOut();
    return { next: (provider && signIn?.signOutAddress(provider)) ?? '/sign-in' };
  });
}

function signedOut({ AUTH_MODE }: ConsoleConfig): object {
  return { signedIn: false, ...(AUTH_MODE === 'dev' && { users: DEV_USERS }) };
}

function unknownUser(): ProblemException {
  const { status, title } = commonProblems.validation;
  const detail = `userId must be one of ${DEV_USERS.map(({ id }) => id).join(', ')}.`;
  return new ProblemException({ code: 'validation', status, title, detail });
}
