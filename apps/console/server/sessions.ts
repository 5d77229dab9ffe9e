import { randomBytes } from 'node:crypto';
import type { Role } from '@twinbox/api-kit/edge';

/** Who is signed in. */
export interface User {
  readonly id: string;
  readonly name?: string;
  readonly roles: readonly Role[];
}

/** What proves to the services who the user is. */
export interface Credentials {
  /** The user as of the latest token. */
  readonly user: User;
  /** Until when they can be valid at most; undefined if they can be renewed. */
  readonly validUntil?: Date | undefined;
  /** Returns the headers of a request to a service. @throws SessionEnded, or a problem while the provider cannot be reached */
  headers(): Promise<Readonly<Record<string, string>>>;
  /** Signs the user out at the provider. Returns where the browser must go to end the provider's session too. */
  signOut(): Promise<URL | undefined>;
}

/** Thrown when the credentials are no longer valid and cannot be renewed. */
export class SessionEnded extends Error {}

export interface SessionLimits {
  readonly idleMs: number;
  readonly lifetimeMs: number;
  readonly maxSessions: number;
}

/** A signed-in browser. */
export class Session {
  /** Aborted when the session ends. */
  readonly signal: AbortSignal;
  readonly startedAt = performance.now();
  usedAt = this.startedAt;
  openStreams = 0;
  private readonly ending = new AbortController();

  constructor(
    readonly id: string,
    readonly credentials: Credentials,
  ) {
    this.signal = this.ending.signal;
  }

  end(): void {
    this.ending.abort();
  }
}

/** How often expired sessions are looked for, so that their event streams end too. */
const SWEEP_MS = 1000;

/** The sessions of this process. They are kept in memory only, so a restart ends them. */
export class Sessions {
  /** Those that have not been used for the longest time come first. */
  private readonly sessions = new Map<string, Session>();
  private readonly sweep = setInterval(() => this.endExpired(), SWEEP_MS).unref();

  constructor(private readonly limits: SessionLimits) {}

  get size(): number {
    return this.sessions.size;
  }

  get openStreams(): number {
    return [...this.sessions.values()].reduce((sum, { openStreams }) => sum + openStreams, 0);
  }

  /** Starts a session with a new id, which nobody can know before the sign-in. The browser's earlier session ends. */
  start(credentials: Credentials, earlier?: Session): Session {
    if (earlier) this.end(earlier);
    const [oldest] = this.sessions.values();
    if (oldest && this.sessions.size >= this.limits.maxSessions) this.end(oldest);
    const session = new Session(randomBytes(32).toString('base64url'), credentials);
    this.sessions.set(session.id, session);
    return session;
  }

  find(id: string | undefined): Session | undefined {
    const session = id === undefined ? undefined : this.sessions.get(id);
    if (!session || !this.hasExpired(session)) return session;
    this.end(session);
    return undefined;
  }

  /** Prolongs the session. */
  use(session: Session): void {
    if (!this.sessions.delete(session.id)) return;
    session.usedAt = performance.now();
    this.sessions.set(session.id, session);
  }

  end(session: Session): void {
    this.sessions.delete(session.id);
    session.end();
  }

  /** Ends all sessions. */
  close(): void {
    clearInterval(this.sweep);
    for (const session of this.sessions.values()) this.end(session);
  }

  private endExpired(): void {
    for (const session of this.sessions.values()) if (this.hasExpired(session)) this.end(session);
  }

  private hasExpired({ startedAt, usedAt, credentials: { validUntil } }: Session): boolean {
    const now = performance.now();
    const { idleMs, lifetimeMs } = this.limits;
    return now - usedAt >= idleMs || now - startedAt >= lifetimeMs || (validUntil?.getTime() ?? Infinity) <= Date.now();
  }
}
