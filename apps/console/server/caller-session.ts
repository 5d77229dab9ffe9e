import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Cookies } from './cookies.js';
import { problem } from './problems.js';
import { type Session, SessionEnded, type Sessions } from './sessions.js';

/** Finds the session of a request. */
export class CallerSession {
  constructor(
    private readonly sessions: Sessions,
    private readonly cookies: Cookies,
  ) {}

  /** Returns the session without prolonging it. */
  find(request: FastifyRequest): Session | undefined {
    return this.sessions.find(this.cookies.session(request));
  }

  /**
   * Returns the session, and prolongs it unless the page has sent the request by itself: a page that polls would never be idle.
   * @throws a problem if there is none
   */
  require(request: FastifyRequest): Session {
    const session = this.find(request);
    if (!session) throw problem('session-ended');
    const isByItself = request.method === 'GET' && request.headers['x-user-idle'] === '1';
    if (!isByItself) this.sessions.use(session);
    return session;
  }

  /** Returns the headers with which the services know the user. @throws a problem if the credentials are no longer valid */
  async headersOf(session: Session, reply: FastifyReply): Promise<Readonly<Record<string, string>>> {
    try {
      return await session.credentials.headers();
    } catch (error) {
      if (!(error instanceof SessionEnded)) throw error;
      this.end(session, reply);
      throw problem('session-ended');
    }
  }

  end(session: Session, reply: FastifyReply): void {
    this.sessions.end(session);
    this.cookies.clearSession(reply);
  }
}
