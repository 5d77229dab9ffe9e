import fc from 'fast-check';
import { type Topic } from './memory.js';
import { aSlot, aTopic, type Move } from './move.js';
import { type World } from './world.js';

/** The next message of an order is consumed. */
export function deliver(topic: Topic, slot: number): Move {
  return {
    name: `${topic} of order ${slot}: the next message is consumed`,
    can: (world) => world.next(topic, slot) !== undefined,
    make: (world) => world.deliver(topic, slot),
  };
}

/** The consumer died before it committed its offset. */
function setBack(topic: Topic, slot: number, by: number): Move {
  return {
    name: `${topic} of order ${slot}: the consumer is set back by ${by}`,
    can: (world) => world.reading(topic, slot).next >= by,
    make: async (world) => {
      world.reading(topic, slot).next -= by;
      return 'the consumer is set back';
    },
  };
}

function misread(topic: Topic, slot: number): Move {
  return {
    name: `${topic} of order ${slot}: the next message becomes a dead letter`,
    can: (world) => {
      const message = world.next(topic, slot);
      return message !== undefined && !world.isReceived(message);
    },
    make: async (world) => {
      world.setAside(topic, slot);
      return 'a new dead letter';
    },
  };
}

/** An operator retries a dead letter. */
export function retry(topic: Topic, slot: number): Move {
  return {
    name: `${topic} of order ${slot}: a dead letter is retried`,
    can: (world) => world.reading(topic, slot).aside.length > 0,
    make: (world) => world.retry(topic, slot),
  };
}

/** Another message with the same content, as from a publisher that has lost its state. */
function republish(topic: Topic, slot: number, nth: number): Move {
  return {
    name: `${topic} of order ${slot}: message ${nth} is published again`,
    can: (world) => nth <= world.log(topic, slot).length && world.log(topic, slot).length < 10,
    make: async (world) => {
      world.repeat(world.log(topic, slot)[nth - 1]!);
      return undefined;
    },
  };
}

/** Published after the original was received, because before that it could not be told from the original. */
function fabricate(slot: number, type: string): Move {
  return {
    name: `payment.events of order ${slot}: a fabricated ${type} is published`,
    can: (world) => originalOf(world, slot) !== undefined && world.log('payment.events', slot).length < 10,
    make: async (world) => {
      world.contradict(originalOf(world, slot)!, type);
      return undefined;
    },
  };
}

const RESULTS = new Set(['PaymentSucceeded', 'PaymentFailed', 'PaymentCancelled']);

function originalOf(world: World, slot: number) {
  return world.log('payment.events', slot).find((message) => RESULTS.has(message.type) && world.isReceived(message));
}

export const delivering = fc.tuple(aTopic, aSlot).map(([topic, slot]) => deliver(topic, slot));
export const settingBack = fc.tuple(aTopic, aSlot, fc.integer({ min: 1, max: 3 })).map((how) => setBack(...how));
export const misreading = fc.tuple(aTopic, aSlot).map(([topic, slot]) => misread(topic, slot));
export const retrying = fc.tuple(aTopic, aSlot).map(([topic, slot]) => retry(topic, slot));
export const republishing = fc.tuple(aTopic, aSlot, fc.integer({ min: 1, max: 4 })).map((how) => republish(...how));
export const fabricating = fc
  .tuple(aSlot, fc.constantFrom('PaymentSucceeded', 'PaymentFailed'))
  .map(([slot, type]) => fabricate(slot, type));
