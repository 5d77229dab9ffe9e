import { flowOf } from './flow.js';
import { aConsumer, anOverview, aQueue } from './overview.fixtures.js';
import { BOX_WIDTH, fitted, narrowPicture, type Picture, widePicture } from './picture-layout.js';

const busy = flowOf(
  anOverview(
    {
      deadLetters: 2,
      gaps: 1,
      unpublished: {
        ready: { messages: 1, oldestSeconds: 3 },
        held: { messages: 2, oldestSeconds: 3 },
        blocked: { messages: 0, oldestSeconds: 0 },
      },
    },
    {
      consumers: [aConsumer({ consumer: 'a', deadLetters: 1, parked: 3 }), aConsumer({ consumer: 'b' })],
      queues: ['charge', 'refund', 'cancel', 'mail', 'export'].map((queue) => aQueue({ queue })),
    },
  ),
  { writtenPerSecond: 1, consumers: {} },
);

function overlaps({ boxes }: Picture): string[] {
  return boxes.flatMap((a, n) =>
    boxes
      .slice(n + 1)
      .filter((b) => Math.abs(a.x - b.x) < BOX_WIDTH && a.y < b.y + b.height && b.y < a.y + a.height)
      .map((b) => `${a.stage.title} ${b.stage.title}`),
  );
}

describe.each([
  ['wide', widePicture(busy)],
  ['narrow', narrowPicture(busy)],
])('the %s picture', (_, picture) => {
  it('has a box for every stage, of which none covers another', () => {
    expect(picture.boxes).toHaveLength(4 + 3 + 3 + 5);
    expect(overlaps(picture)).toEqual([]);
  });

  it('contains all of its boxes', () => {
    for (const { x, y, height } of picture.boxes) {
      expect(x + BOX_WIDTH).toBeLessThanOrEqual(picture.width);
      expect(y + height).toBeLessThanOrEqual(picture.height);
    }
  });

  it('links the stages of a lane, but not its queues', () => {
    expect(picture.arrows).toHaveLength(3 + 2 + 2);
  });
});

describe('a text in a box', () => {
  it('ends with an ellipsis if it is too long', () => {
    expect(fitted('order.events', 20)).toBe('order.events');
    expect(fitted('order.events', 6)).toBe('order…');
  });
});
