import { type FeedSnapshot } from './resume-point.js';

export type Watched = { readonly orderId: string } | { readonly customerId: string } | { readonly all: true };

/** A point after a step of an order. The next step is of the same order or of a later one. */
export interface WalkPoint {
  readonly orderId: string;
  readonly position: number;
}

/**
 * A catch-up scan order by order instead of in commit order. Steps up to the point have been sent as of `upTo`, and those after it as of
 * where the follower was before.
 */
export interface FeedWalk extends WalkPoint {
  readonly over: 'order' | 'customer';
  readonly upTo: FeedSnapshot;
}

/** How far a follower has come: it has received what `seen` sees, and is in the middle of `walk` if there is one. */
export interface FeedPlace {
  readonly seen: FeedSnapshot;
  readonly walk?: FeedWalk;
  /** The position of the step after which the follower resumes, if it resumes after one. */
  readonly position?: number;
}

const BEGINNING: WalkPoint = { orderId: '00000000-0000-0000-0000-000000000000', position: 0 };

export function walkFrom(over: FeedWalk['over'], upTo: FeedSnapshot): FeedWalk {
  return { over, upTo, ...BEGINNING };
}

/** Whether the walk covers the watched orders, so that it can be continued. */
export function isWalkOf(watched: Watched, { over, orderId }: FeedWalk): boolean {
  return over === 'customer' ? 'customerId' in watched : 'orderId' in watched && watched.orderId === orderId;
}
