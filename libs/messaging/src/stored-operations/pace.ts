import { type OperationOptions } from './operation-kind.js';

/** The most items a transaction handles. Each letter's key takes a lock, and a server has only some thousands for all its sessions. */
export const MAX_STEP = 200;
const CANARY_STEPS = [1, 2, 5, 10, 20, 50, 100];

type Pace = Pick<OperationOptions, 'canary' | 'ratePerSecond'>;

/** Returns how many items the next step may handle: with a rate, what one second allows, and at least one. */
export function stepSize({ canary = false, ratePerSecond = Infinity }: Pace, stepsDone: number): number {
  const largest = canary ? (CANARY_STEPS[stepsDone] ?? MAX_STEP) : MAX_STEP;
  return Math.min(largest, Math.max(1, Math.floor(ratePerSecond)));
}

/** Returns how long the next step must wait after one that handled `items` in `tookMs`, so that both together keep the rate. */
export function waitAfter({ ratePerSecond = Infinity }: Pace, items: number, tookMs: number): number {
  return Math.max(0, (items / ratePerSecond) * 1000 - tookMs);
}
