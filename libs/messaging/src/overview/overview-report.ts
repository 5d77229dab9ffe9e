import { type Waiting } from '../metrics/metrics-store.js';

/** An operator's order that something must not run. */
export interface PauseNote {
  readonly since: Date;
  readonly actor: string;
  readonly reason: string | null;
}

/** The relay of the service, whichever process has the lease. */
export interface RelayOverview {
  /** `leading`: a process holds the lease. `none`: no process does, so nothing is published. */
  readonly state: 'leading' | 'none';
  /** The id of the process that holds or held the lease last; it changes with every start. */
  readonly holder: string | null;
  /** When the lease ends, or ended, unless it is renewed; null if its last holder released it. */
  readonly leasedUntil: Date | null;
  /** Grows whenever another process becomes the leader. */
  readonly fencingToken: string;
  readonly paused: PauseNote | null;
  /** Messages that wait to be published; beyond 100,000 their number is approximate. */
  readonly unpublished: { readonly ready: Waiting; readonly held: Waiting; readonly blocked: Waiting };
  /** The number of gaps: positions that transactions have taken and not committed yet. */
  readonly gaps: number;
  readonly deadLetters: number;
  /** Messages written within the last minute and published, per second. Measured over at most the last 10,000. */
  readonly publishedPerSecond: number;
}

/** How far a consumer group is, according to Kafka. */
export interface GroupOverview {
  /** Messages that the group has not committed yet. */
  readonly lag: number;
  /** Those of them whose timestamps are more than 30 s old. */
  readonly overdue: number;
  readonly partitions: readonly { readonly partition: number; readonly lag: number }[];
  /** Kafka's name of the group's state, such as `Stable` or `PreparingRebalance`. */
  readonly state: string;
  readonly members: number;
}

/** The latest failure of something that waits for another attempt. */
export interface LatestFailure {
  /** Null if a process of an earlier version recorded it. */
  readonly at: Date | null;
  /** The first 500 characters of the error. */
  readonly error: string;
}

/** One consumer of the service, over all of its processes. */
export interface ConsumerOverview {
  /** The consumer group. */
  readonly consumer: string;
  readonly topic: string;
  readonly paused: PauseNote | null;
  /** Null while Kafka does not answer. */
  readonly group: GroupOverview | null;
  /** Messages that processes have taken and not settled yet. */
  readonly inFlight: number;
  /** Since when the oldest of them is in flight; null if there are none. */
  readonly inFlightSince: Date | null;
  /** Messages that wait for their next attempt or behind another message of their key, at most 100,000. */
  readonly parked: number;
  readonly oldestParkedSeconds: number;
  /** The latest failure of its messages that wait for another attempt; null if none of them has failed. */
  readonly latestFailure: LatestFailure | null;
  readonly deadLetters: number;
  /** Messages processed within the last minute, per second. Measured over at most the last 10,000. */
  readonly processedPerSecond: number;
}

/** One queue of jobs, over all processes. Each count is at most 100,000. */
export interface QueueOverview {
  readonly queue: string;
  readonly paused: PauseNote | null;
  /** Jobs that could run now. */
  readonly due: number;
  /** When the oldest of them became due; null if there are none. */
  readonly dueSince: Date | null;
  /** Jobs that a process has leased. */
  readonly running: number;
  /** Jobs that wait for another attempt after a failed one. */
  readonly retrying: number;
  /** The latest failure of its jobs that wait for another attempt, or are running again; null if none of them has failed. */
  readonly latestFailure: LatestFailure | null;
  /** Jobs for a later time that have not been attempted. */
  readonly scheduled: number;
  readonly dead: number;
}

/** What needs an operator: something that does not work, or that waits for a decision. */
export interface OverviewProblem {
  /**
   * - `failing`: work does not proceed.
   * - `attention`: work proceeds, and something waits for an operator.
   * - `paused`: an operator has paused it.
   */
  readonly severity: 'failing' | 'attention' | 'paused';
  /** `relay`, `kafka`, `outbox`, `incidents`, `operations`, `inbox <consumer>` or `queue <queue>`. */
  readonly component: string;
  readonly problem: string;
  /** Null if that is not known. */
  readonly since: Date | null;
}

/** The state of the service's messaging, as its tables and Kafka have it. Every process returns the same. */
export interface MessagingOverview {
  readonly at: Date;
  readonly relay: RelayOverview;
  readonly consumers: readonly ConsumerOverview[];
  readonly queues: readonly QueueOverview[];
  /** Why the parts that Kafka knows are missing; null if they are not. */
  readonly kafkaProblem: string | null;
  readonly problems: readonly OverviewProblem[];
}
