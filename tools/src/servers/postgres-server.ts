export interface PostgresOptions {
  /** Created if missing; data of an earlier run is reused. Default: a new temporary directory. */
  readonly dataDir?: string;
  /** 0, the default, picks a free port. */
  readonly port?: number;
  /** The log is appended to this file. Default: a file next to the data directory. */
  readonly logFile?: string;
  /** The database named in the URL; created if missing. */
  readonly database?: string;
  /** postgresql.conf settings, e.g. `{ fsync: 'off' }` for a disposable server. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** A PostgreSQL server. It runs outside the process group of the caller, so only these methods stop it, not Ctrl-C in the terminal. */
export interface PostgresServer {
  /** Connects as the superuser. */
  readonly url: string;
  readonly port: number;
  /** The actual data directory, which may differ from the requested one: see {@link startPostgres}. */
  readonly dataDir: string;
  /** Starts the server again with the same data and port; after `kill` it recovers first. Does nothing if it is running. */
  start(): Promise<void>;
  /** Fast shutdown: rolls back open transactions and closes sessions. */
  stop(): Promise<void>;
  restart(): Promise<void>;
  /** Changes settings that need no restart, now and for later starts. Returns when new sessions have them. */
  reconfigure(settings: Readonly<Record<string, string>>): Promise<void>;
  /** Sends SIGKILL, to simulate a crash; returns when its processes are gone. */
  kill(): Promise<void>;
  /** Sends SIGSTOP to all its processes, as if the machine hung: connections stay open but are silent until `resume`. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Stops the server and deletes its data. */
  remove(): Promise<void>;
}

/** A streaming standby. Until it is promoted it answers reads only. */
export interface PostgresStandby extends PostgresServer {
  /**
   * Waits until commits of the primary wait for the standby, and the standby has everything on its disk that the primary has inserted into
   * its WAL by now. Not after `promote`.
   */
  caughtUp(): Promise<void>;
  /** Makes it a primary without a standby. Returns when it accepts writes. The former primary must not be running. */
  promote(): Promise<void>;
}
