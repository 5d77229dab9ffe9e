import { setTimeout as delay } from 'node:timers/promises';
import { type PostgresServer, type PostgresStandby, startSynchronousStandby } from '@twinbox/tools';
import { type FaultProxy } from '@twinbox/tools/fault-proxy';

/** What the faults do to a server. */
export type ServerControl = Pick<PostgresServer, 'start' | 'stop' | 'kill' | 'pause' | 'resume'>;

/**
 * A primary and its synchronous standby. A fail-over replaces the primary by the standby, and makes a new standby from a copy of that.
 * The old primary never comes back. `ready` must be awaited before anything is done to either server.
 */
export class ReplicatedPostgres {
  /** Controls whichever server is the primary, and whichever is the standby. */
  readonly primary: ServerControl = this.control(() => this.current.primary);
  readonly standby: ServerControl = this.control(() => this.current.standby);
  /** The number of fail-overs so far. */
  failOvers = 0;
  /** Resolves when the next standby has been made. */
  private renewal: Promise<void> = Promise.resolve();

  private constructor(
    private readonly current: { primary: PostgresServer; standby: PostgresStandby },
    private readonly newStandby: (primary: PostgresServer, nth: number) => Promise<PostgresStandby>,
  ) {}

  /** Starts the standby of a running server. `logFileOf` names the log file of each standby. */
  static async start(
    primary: PostgresServer,
    settings: Readonly<Record<string, string>>,
    logFileOf: (nth: number) => string,
  ): Promise<ReplicatedPostgres> {
    const newStandby = (of: PostgresServer, nth: number) =>
      startSynchronousStandby(of, { settings, logFile: logFileOf(nth) });
    return new ReplicatedPostgres({ primary, standby: await newStandby(primary, 1) }, newStandby);
  }

  /**
   * Waits until the standby is synchronous and has everything that the running primary has. After a crash the primary shows transactions
   * that its standby may not have yet, so a promotion before that may undo what clients have been told.
   */
  async ready(): Promise<void> {
    await this.renewal;
    await this.current.standby.caughtUp();
  }

  /**
   * Kills the primary and promotes the standby `lostMs` later. The links lead to the standby afterwards or, if `early`, already before it
   * is promoted, so that clients meet a server that refuses to write. The new standby is made in the background.
   */
  async failOver(links: Iterable<FaultProxy>, lostMs: number, early: boolean): Promise<void> {
    const { primary, standby } = this.current;
    const follow = () => {
      for (const link of links) link.pointAt(standby.port);
    };
    await primary.kill();
    if (early) follow();
    await delay(lostMs);
    await standby.promote();
    if (!early) follow();
    this.failOvers++;
    this.current.primary = standby;
    this.renewal = this.renew(primary);
    // `ready` and `heal` report an error.
    this.renewal.catch(() => undefined);
  }

  /** Starts both servers, if they are not running, and returns when the standby is synchronous. */
  async heal(): Promise<void> {
    await this.renewal;
    const { primary, standby } = this.current;
    await Promise.all([primary.resume(), standby.resume()]);
    await Promise.all([primary.start(), standby.start()]);
    await this.ready();
  }

  /** Stops both servers and deletes their data. */
  async remove(): Promise<void> {
    await this.renewal.catch(() => undefined);
    await this.current.primary.remove();
    await this.current.standby.remove();
  }

  private async renew(old: PostgresServer): Promise<void> {
    await old.remove();
    this.current.standby = await this.newStandby(this.current.primary, this.failOvers + 1);
  }

  private control(server: () => PostgresServer): ServerControl {
    return {
      start: () => server().start(),
      stop: () => server().stop(),
      kill: () => server().kill(),
      pause: () => server().pause(),
      resume: () => server().resume(),
    };
  }
}
