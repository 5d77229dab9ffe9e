import fc from 'fast-check';
import { PRODUCTS, SLOTS, TOPICS, type World } from './world.js';

/** An action of a user or an event in the system. */
export interface Move {
  readonly name: string;
  /** Whether the move makes sense now. */
  readonly can: (world: World) => boolean;
  /** Makes the move. Returns the reason why it must have had no effect, if there is one. */
  readonly make: (world: World) => Promise<string | undefined>;
}

export const aSlot = fc.constantFrom(...SLOTS);
export const aTopic = fc.constantFrom(...TOPICS);
export const aProduct = fc.constantFrom(...PRODUCTS);
