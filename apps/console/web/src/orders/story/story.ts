import { type HeldMessage, type InboxRecord, type MessagesOfAggregate } from '@twinbox/client/admin';
import { type Step } from '../../shared/step-list.js';

/** A service: its steps are one line of the picture. */
export type Lane = 'orders' | 'payments';

/** What happened in a service. */
export interface StoryNode {
  readonly key: string;
  readonly lane: Lane;
  readonly at: string;
  readonly type: string;
  readonly actor?: string;
  readonly detail?: string;
  /** Whether it is the place where a message is stuck. */
  readonly isStuck: boolean;
}

export type MessageState = 'received' | 'published' | 'unpublished' | 'parked' | 'dead' | 'discarded';

/** A message from one service to the other. */
export interface StoryMessage {
  readonly id: string;
  readonly type: string;
  readonly from: Lane;
  readonly state: MessageState;
  readonly sentAt: string;
  readonly receivedAt?: string;
  readonly error?: string;
  /** The node that it comes from, and the one where it arrived. */
  readonly source?: string;
  readonly target?: string;
}

export interface Story {
  /** In the order of time. */
  readonly nodes: readonly StoryNode[];
  readonly messages: readonly StoryMessage[];
}

type StoredStep = Step & { readonly messageId: string | null };

/** What a service knows about an order. */
export interface Account {
  readonly lane: Lane;
  readonly steps: readonly StoredStep[];
  readonly messages: MessagesOfAggregate;
  /** When it recorded messages of the other service. */
  readonly records: readonly InboxRecord[];
}

/** The furthest that a step and the message it has published can be apart: they are written by one transaction. */
const SAME_MS = 2000;

/** Puts what both services know about an order together. */
export function storyOf(one: Account, other: Account): Story {
  const accounts = [one, other];
  const steps = accounts.flatMap(({ lane, steps }) => steps.map((step) => nodeOf(lane, step)));
  const messages = accounts.flatMap((account) => {
    const receiver = account === one ? other : one;
    return account.messages.raised.map((raised) => messageOf(account, receiver, raised));
  });
  const stuck = messages.flatMap((message) => stuckNode(message));
  const nodes = [...steps, ...stuck].sort((a, b) => a.at.localeCompare(b.at));
  return { nodes, messages };
}

function nodeOf(lane: Lane, { position, at, type, actor, detail }: StoredStep): StoryNode {
  const reason = detail?.['reason'];
  const isStuck = false;
  return {
    key: `${lane} ${position}`,
    lane,
    at,
    type,
    actor,
    isStuck,
    ...(typeof reason === 'string' && { detail: reason }),
  };
}

type Raised = MessagesOfAggregate['raised'][number];

function messageOf(sender: Account, receiver: Account, raised: Raised): StoryMessage {
  const { id, type, createdAt, state, error, diedAt } = raised;
  const source = sourceIn(sender, raised);
  const common = { id, type, from: sender.lane, sentAt: createdAt, ...(source && { source: keyOf(sender, source) }) };
  const step = receiver.steps.find(({ messageId }) => messageId === id);
  const record = receiver.records.find(({ messageId }) => messageId === id);
  if (step) {
    const receivedAt = record?.receivedAt ?? step.at;
    return { ...common, state: 'received', receivedAt, target: keyOf(receiver, step) };
  }
  const held = receiver.messages.held.find(({ messageId }) => messageId === id);
  if (held) return { ...common, ...heldAt(held), target: stuckKey(id) };
  const discarded = receiver.messages.discarded.find(({ messageId }) => messageId === id);
  if (discarded) {
    const { at, actor } = discarded;
    return { ...common, state: 'discarded', receivedAt: at, error: `by ${actor}`, target: stuckKey(id) };
  }
  if (record) return { ...common, state: 'received', receivedAt: record.receivedAt };
  if (state === 'published') return { ...common, state };
  return { ...common, state, ...(error !== null && { error }), ...(diedAt !== null && { receivedAt: diedAt }) };
}

function heldAt({ error, diedAt, parkedAt }: HeldMessage) {
  return {
    state: diedAt === null ? 'parked' : 'dead',
    receivedAt: diedAt ?? parkedAt,
    ...(error !== null && { error }),
  } as const;
}

/** The step that published a message: the one that names it, or else the last one before it of the same transaction. */
function sourceIn({ steps }: Account, { id, createdAt }: Raised): StoredStep | undefined {
  const named = steps.find(({ messageId }) => messageId === id);
  if (named) return named;
  const at = Date.parse(createdAt);
  const near = steps.map((step) => ({ step, apart: Math.abs(Date.parse(step.at) - at) }));
  const [nearest] = near.filter(({ apart }) => apart < SAME_MS).sort((a, b) => a.apart - b.apart);
  return nearest?.step;
}

const AT_RECEIVER: Readonly<Partial<Record<MessageState, string>>> = {
  parked: 'is parked',
  dead: 'failed for good',
  discarded: 'was discarded',
};

/** A message that is stuck or was discarded has no step at its receiver, so it gets a node of its own. */
function stuckNode({ id, type, from, state, receivedAt, error, target }: StoryMessage): StoryNode[] {
  if (target !== stuckKey(id) || receivedAt === undefined) return [];
  const lane = from === 'orders' ? 'payments' : 'orders';
  const what = `${type} ${AT_RECEIVER[state]}`;
  const isStuck = state !== 'discarded';
  return [{ key: target, lane, at: receivedAt, type: what, isStuck, ...(error !== undefined && { detail: error }) }];
}

function keyOf({ lane }: Account, { position }: StoredStep): string {
  return `${lane} ${position}`;
}

function stuckKey(id: string): string {
  return `stuck ${id}`;
}
