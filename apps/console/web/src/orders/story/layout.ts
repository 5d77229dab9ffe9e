import { type Story, type StoryMessage, type StoryNode } from './story.js';

/** A node with its place, and how long after the one before it. */
export interface PlacedNode {
  readonly node: StoryNode;
  readonly y: number;
  readonly afterMs: number | undefined;
}

/** A message with the rows that it connects. Without an end, it is not received yet, or nobody needs it. */
export interface PlacedMessage {
  readonly message: StoryMessage;
  readonly from: number;
  readonly to: number | undefined;
}

/** A long time without an event, which the axis leaves out. */
export interface Gap {
  readonly y: number;
  readonly ms: number;
}

export interface Layout {
  readonly height: number;
  readonly nodes: readonly PlacedNode[];
  readonly messages: readonly PlacedMessage[];
  readonly gaps: readonly Gap[];
}

export const ROW = 72;
const GAP = 36;
const GAP_FROM_MS = 10_000;
const TOP = 30;

/** Places the steps below each other: most are milliseconds apart and some are hours apart, so the axis has the order of time only. */
export function layoutOf({ nodes, messages }: Story): Layout {
  const gaps: Gap[] = [];
  const placed: PlacedNode[] = [];
  let y = TOP;
  for (const [index, node] of nodes.entries()) {
    const before = nodes[index - 1];
    const afterMs = before && Date.parse(node.at) - Date.parse(before.at);
    if (afterMs !== undefined && afterMs >= GAP_FROM_MS) {
      gaps.push({ y: y - ROW / 2 + GAP / 2, ms: afterMs });
      y += GAP;
    }
    placed.push({ node, y, afterMs });
    y += ROW;
  }
  const rows = new Map(placed.map(({ node, y }) => [node.key, y]));
  return {
    height: Math.max(y - ROW / 2, TOP * 2),
    nodes: placed,
    gaps,
    messages: messages.flatMap((message) => {
      const from = rows.get(message.source ?? '');
      return from === undefined ? [] : [{ message, from, to: rows.get(message.target ?? '') }];
    }),
  };
}
