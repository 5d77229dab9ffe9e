import { type Flow, type Lane, type Stage } from './flow.js';

export interface Box {
  readonly stage: Stage;
  readonly lane: string;
  readonly x: number;
  readonly y: number;
  readonly height: number;
}

export interface Arrow {
  readonly from: readonly [x: number, y: number];
  readonly to: readonly [x: number, y: number];
  readonly isMoving: boolean;
  /** Whether what it leads to does not proceed. */
  readonly isStuck: boolean;
}

export interface Label {
  readonly text: string;
  readonly x: number;
  readonly y: number;
}

/** Where everything of the picture is, in units of its coordinate system. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly Box[];
  readonly arrows: readonly Arrow[];
  readonly labels: readonly Label[];
  /** The frame around what is in Kafka; undefined in the narrow picture. */
  readonly kafka:
    { readonly x: number; readonly y: number; readonly width: number; readonly height: number } | undefined;
}

export const BOX_WIDTH = 196;
export const HEAD_HEIGHT = 62;
export const FACT_HEIGHT = 18;
const GAP = 56;
const LANE_GAP = 30;
const LABEL_HEIGHT = 26;
const QUEUE_GAP = 10;
const MARGIN = 12;
const STEP = BOX_WIDTH + GAP;
const KAFKA_COLUMN = 3;

const heightOf = (stages: readonly Stage[]) =>
  HEAD_HEIGHT + FACT_HEIGHT * Math.max(0, ...stages.map(({ facts }) => facts.length)) + (stages.some(hasFacts) ? 8 : 0);
const hasFacts = ({ facts }: Stage) => facts.length > 0;
const columnX = (column: number) => MARGIN + 8 + column * STEP;

interface Placed {
  readonly boxes: Box[];
  readonly arrows: Arrow[];
  readonly labels: Label[];
}

/** Messages go to the right into Kafka, and from Kafka back to the left into the handlers. Jobs are at the left, where handlers add them. */
export function widePicture({ publishing, consuming, jobs }: Flow): Picture {
  const placed: Placed = { boxes: [], arrows: [], labels: [] };
  const second = placeRow(placed, publishing, [0, 1, 2, KAFKA_COLUMN], MARGIN + LABEL_HEIGHT);
  let y = second;
  for (const lane of consuming) y = placeRow(placed, lane, [KAFKA_COLUMN, KAFKA_COLUMN - 1, KAFKA_COLUMN - 2], y);
  const jobsEnd = jobs ? placeColumn(placed, jobs, second) : 0;
  const end = Math.max(y - LANE_GAP - LABEL_HEIGHT, jobsEnd);
  const x = columnX(KAFKA_COLUMN);
  const kafka = { x: x - 10, y: MARGIN / 2, width: BOX_WIDTH + 20, height: end + 4 };
  return { width: x + BOX_WIDTH + 8 + MARGIN, height: end + MARGIN + 4, kafka, ...placed };
}

/** Places queues one below the other and returns where they end. */
function placeColumn({ boxes, labels }: Placed, { name, stages }: Lane, top: number): number {
  labels.push({ text: name, x: columnX(0), y: top - 9 });
  let y = top;
  for (const stage of stages) {
    const height = heightOf([stage]);
    boxes.push({ stage, lane: name, x: columnX(0), y, height });
    y += height + QUEUE_GAP;
  }
  return y - QUEUE_GAP;
}

/** Places a lane and returns where the next one begins. */
function placeRow(placed: Placed, lane: Lane, columns: readonly number[], y: number): number {
  const { stages, isMoving, name } = lane;
  const height = heightOf(stages);
  const middle = y + HEAD_HEIGHT / 2;
  const isBackwards = (columns[1] ?? 0) < (columns[0] ?? 0);
  placed.labels.push({ text: name, x: columnX(isBackwards ? (columns[stages.length - 1] ?? 0) : 0), y: y - 9 });
  for (const [n, stage] of stages.entries()) {
    const x = columnX(columns[n] ?? 0);
    placed.boxes.push({ stage, lane: name, x, y, height });
    const next = stages[n + 1];
    if (!next) continue;
    const nextX = columnX(columns[n + 1] ?? 0);
    const [from, to] = isBackwards ? [x, nextX + BOX_WIDTH] : [x + BOX_WIDTH, nextX];
    placed.arrows.push({ from: [from, middle], to: [to, middle], isMoving, isStuck: isStuck(next) });
  }
  return y + height + LANE_GAP + LABEL_HEIGHT;
}

/** Stacks the boxes, for a narrow screen. */
export function narrowPicture({ publishing, consuming, jobs }: Flow): Picture {
  const placed: Placed = { boxes: [], arrows: [], labels: [] };
  const x = MARGIN;
  let y = MARGIN;
  for (const lane of [publishing, ...consuming, ...(jobs ? [jobs] : [])]) {
    placed.labels.push({ text: lane.name, x, y: y + 14 });
    y += LABEL_HEIGHT;
    for (const [n, stage] of lane.stages.entries()) {
      const height = heightOf([stage]);
      placed.boxes.push({ stage, lane: lane.name, x, y, height });
      y += height;
      const next = lane.stages[n + 1];
      if (next && lane !== jobs) {
        const at = x + BOX_WIDTH / 2;
        placed.arrows.push({ from: [at, y], to: [at, y + 26], isMoving: lane.isMoving, isStuck: isStuck(next) });
      }
      y += next ? (lane === jobs ? QUEUE_GAP : 26) : LANE_GAP;
    }
  }
  return { width: 2 * MARGIN + BOX_WIDTH, height: y - LANE_GAP + MARGIN, kafka: undefined, ...placed };
}

const isStuck = ({ health }: Stage) => health === 'failing' || health === 'paused';

/** Shortens a text that would not fit into a box. */
export function fitted(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
