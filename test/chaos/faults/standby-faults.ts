import { Random } from '../random.js';
import { type System } from '../system/system.js';
import { type Fault, type STANDBY_FAULTS } from './schedule.js';

/** When the first fail-over happens, and the time between two of them, in which the next standby is made. */
const FIRST_MS = [6000, 12_000] as const;
const EVERY_MS = [45_000, 70_000] as const;
/** How long the primary is gone before its standby is promoted. */
const LOST_MS = [500, 3000] as const;
/** How long after a fail-over the standby fails by itself. */
const STANDBY_MS = [15_000, 20_000] as const;
/** The time that the servers need after a fault until the next one. */
const REST_MS = 8000;

/**
 * Adds fail-overs, and faults of the standby between them, to the faults of a run. Leaves out those faults of the database server that
 * would coincide with them, and changes no other. The seed determines what is added.
 */
export function withStandbyFaults(faults: readonly Fault[], seed: number, durationMs: number): Fault[] {
  const random = new Random(seed + 5);
  const added: Fault[] = [];
  let kind = random.oneOf(['standby killed', 'standby paused'] as const);
  for (let atMs = random.between(...FIRST_MS); atMs < durationMs; atMs += random.between(...EVERY_MS)) {
    added.push({ kind: 'database failed over', target: 'postgres', atMs, forMs: random.between(...LOST_MS) });
    const later = atMs + random.between(...STANDBY_MS);
    added.push({ kind, target: 'postgres', atMs: later, forMs: random.between(1000, 5000) });
    // In turn, so that even a short run has both.
    kind = kind === 'standby killed' ? 'standby paused' : 'standby killed';
  }
  const inTime = added.filter(({ atMs }) => atMs < durationMs);
  const collides = (fault: Fault) =>
    inTime.some(({ atMs, forMs }) => fault.atMs < atMs + forMs + REST_MS && atMs < fault.atMs + fault.forMs + REST_MS);
  const kept = faults.filter((fault) => fault.target !== 'postgres' || !collides(fault));
  return [...kept, ...inTime].toSorted((a, b) => a.atMs - b.atMs);
}

/** Injects a fault and ends it. A fail-over ends when the standby is promoted; the next standby is made after that. */
export async function injectStandbyFault(
  { replicated, databaseLinks }: Pick<System, 'replicated' | 'databaseLinks'>,
  { kind, atMs, forMs }: Pick<Fault & { kind: (typeof STANDBY_FAULTS)[number] }, 'kind' | 'atMs' | 'forMs'>,
  lasting: () => Promise<void>,
): Promise<void> {
  if (!replicated) throw new Error(`"${kind}" needs a run with a standby`);
  const { standby } = replicated;
  // In half of the cases clients are led to the standby before it is promoted.
  if (kind === 'database failed over') return replicated.failOver(databaseLinks, forMs, new Random(atMs).next() < 0.5);
  await (kind === 'standby killed' ? standby.kill() : standby.pause());
  await lasting();
  return kind === 'standby killed' ? standby.start() : standby.resume();
}
