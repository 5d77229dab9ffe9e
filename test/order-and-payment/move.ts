import fc from 'fast-check';
import { PRODUCTS, SLOTS, TOPICS, type World } from './world.js';

/** Something that somebody does, or that happens. */
export interface Move {
  readonly name: string;
  /** Whether there is any sense in it now. */
  readonly can: (world: World) => boolean;
  /** Does it. Why nothing must have come of it, if so. */
  readonly make: (world: World) => Promise<string | undefined>;
}

export const aSlot = fc.constantFrom(...SLOTS);
export const aTopic = fc.constantFrom(...TOPICS);
export const aProduct = fc.constantFrom(...PRODUCTS);
