import { type FeedSnapshot } from './order-feed-snapshot.js';

/** One order, one customer's orders, or all. */
export type Watched = { readonly orderId: string } | { readonly customerId: string } | { readonly all: true };

/** Behind a step of an order: the next one is one of the same order, or of a later one. */
export interface WalkPoint {
  readonly orderId: string;
  readonly position: number;
}

/**
 * A way over steps in the order of their orders, which is none of commits: what is not beyond the point has been told as of `upTo`,
 * and what is, as of where the follower was before.
 */
export interface FeedWalk extends WalkPoint {
  readonly over: 'order' | 'customer';
  readonly upTo: FeedSnapshot;
}

/** How far a follower has come: it has got what `seen` sees, and is in the middle of a walk if there is one. */
export interface FeedPlace {
  readonly seen: FeedSnapshot;
  readonly walk?: FeedWalk;
  /** The position of the step after which the follower resumes, if it resumes after one. */
  readonly position?: number;
}

/** Before every step of every order. */
const BEGINNING: WalkPoint = { orderId: '00000000-0000-0000-0000-000000000000', position: 0 };

/** The walk from its beginning. */
export function walkFrom(over: FeedWalk['over'], upTo: FeedSnapshot): FeedWalk {
  return { over, upTo, ...BEGINNING };
}

/** Whether whoever watches this can go on with the walk: one over other orders tells nothing of these. */
export function isWalkOf(watched: Watched, { over, orderId }: FeedWalk): boolean {
  return over === 'customer' ? 'customerId' in watched : 'orderId' in watched && watched.orderId === orderId;
}
