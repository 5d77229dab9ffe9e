import fc from 'fast-check';
import { type Topic } from './memory.js';
import { aSlot, aTopic, type Move } from './move.js';
import { type World } from './world.js';

/** The next message of an order is read; false, when it is known. */
export function deliver(topic: Topic, slot: number): Move {
  return {
    name: `${topic} of order ${slot}: the next is read`,
    can: (world) => world.next(topic, slot) !== undefined,
    make: (world) => world.deliver(topic, slot),
  };
}

/** The reader has died before it wrote down how far it was. */
function setBack(topic: Topic, slot: number, by: number): Move {
  return {
    name: `${topic} of order ${slot}: the reader is set back by ${by}`,
    can: (world) => world.reading(topic, slot).next >= by,
    make: async (world) => {
      world.reading(topic, slot).next -= by;
      return 'the reader is set back';
    },
  };
}

function misread(topic: Topic, slot: number): Move {
  return {
    name: `${topic} of order ${slot}: the next cannot be read`,
    can: (world) => {
      const message = world.next(topic, slot);
      return message !== undefined && !world.isHeard(message);
    },
    make: async (world) => {
      world.setAside(topic, slot);
      return 'unreadable';
    },
  };
}

/** A person has what could not be read tried again. */
export function retry(topic: Topic, slot: number): Move {
  return {
    name: `${topic} of order ${slot}: what could not be read is tried again`,
    can: (world) => world.reading(topic, slot).aside.length > 0,
    make: (world) => world.retry(topic, slot),
  };
}

/** As from a publisher that has lost its memory: another message of the same content. */
function sayAgain(topic: Topic, slot: number, nth: number): Move {
  return {
    name: `${topic} of order ${slot}: number ${nth} is said again`,
    can: (world) => nth <= world.log(topic, slot).length && world.log(topic, slot).length < 10,
    make: async (world) => {
      world.repeat(world.log(topic, slot)[nth - 1]!);
      return undefined;
    },
  };
}

/** Said after the truth was heard, for before that nobody could tell it from the truth. */
function lie(slot: number, type: string): Move {
  return {
    name: `payment.events of order ${slot}: an untrue ${type} is said`,
    can: (world) => truthOf(world, slot) !== undefined && world.log('payment.events', slot).length < 10,
    make: async (world) => {
      world.contradict(truthOf(world, slot)!, type);
      return undefined;
    },
  };
}

const RESULTS = new Set(['PaymentSucceeded', 'PaymentFailed', 'PaymentCancelled']);

function truthOf(world: World, slot: number) {
  return world.log('payment.events', slot).find((message) => RESULTS.has(message.type) && world.isHeard(message));
}

export const delivering = fc.tuple(aTopic, aSlot).map(([topic, slot]) => deliver(topic, slot));
export const settingBack = fc.tuple(aTopic, aSlot, fc.integer({ min: 1, max: 3 })).map((how) => setBack(...how));
export const misreading = fc.tuple(aTopic, aSlot).map(([topic, slot]) => misread(topic, slot));
export const retrying = fc.tuple(aTopic, aSlot).map(([topic, slot]) => retry(topic, slot));
export const sayingAgain = fc.tuple(aTopic, aSlot, fc.integer({ min: 1, max: 4 })).map((how) => sayAgain(...how));
export const lying = fc
  .tuple(aSlot, fc.constantFrom('PaymentSucceeded', 'PaymentFailed'))
  .map(([slot, type]) => lie(slot, type));
