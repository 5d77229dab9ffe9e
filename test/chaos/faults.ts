import { setTimeout as delay } from 'node:timers/promises';
import { slowDown, widenColumn } from './database-faults.js';
import { Random } from './random.js';
import { type Fault, type Injected } from './schedule.js';
import { type System } from './system.js';

/** On a slow link: the time that each part takes more. */
const SLOW_MS = 300;

/** In a slow database a statement that writes takes up to so much longer: more than a service's statement_timeout of 1.2 s. */
const SLOW_STATEMENT_MS = 1600;

const DATABASE_RETRY_MS = 200;

/** A fault that comes so much later than planned is left out: on a slow machine faults would pile up, and nothing be up between them. */
const MOST_LATE_MS = 5000;

/**
 * Does what is planned, when it is planned. A target that is still busy with its last fault gets the next one after it, or goes
 * without. Returns when all are over; once aborted, no more are begun. Throws, all over as well, when something cannot be started
 * again.
 */
export async function injectFaults(
  system: System,
  faults: readonly Fault[],
  aborted: AbortSignal,
  tell: (line: string) => void,
): Promise<Injected[]> {
  const injected: Injected[] = [];
  const failed = new AbortController();
  const signal = AbortSignal.any([aborted, failed.signal]);
  const start = performance.now();
  const lastOf = new Map<string, Promise<void>>();
  for (const fault of faults) {
    await pause(fault.atMs - (performance.now() - start), signal);
    const inject = async () => {
      if (signal.aborted || performance.now() - start > fault.atMs + MOST_LATE_MS) return;
      tell(`${fault.kind}: ${fault.target}, for ${(fault.forMs / 1000).toFixed(1)} s`);
      const at = Date.now();
      const happened = await injectOne(system, fault, signal);
      if (happened !== false) injected.push({ kind: fault.kind, target: fault.target, at, until: Date.now() });
      tell(`over: ${fault.kind}: ${fault.target}`);
    };
    const before = lastOf.get(fault.target) ?? Promise.resolve();
    lastOf.set(
      fault.target,
      before.then(inject).catch((error: unknown) => failed.abort(error)),
    );
  }
  await Promise.all(lastOf.values());
  failed.signal.throwIfAborted();
  return injected;
}

/** False when it could not be done before the run ended. */
async function injectOne(system: System, fault: Fault, signal: AbortSignal): Promise<boolean | void> {
  const lasting = () => pause(fault.forMs, signal);
  switch (fault.kind) {
    case 'service killed':
    case 'service paused':
    case 'service terminated': {
      const replica = found(system.processes, fault.target);
      if (fault.kind === 'service paused') {
        replica.pause();
        await lasting();
        return replica.resume();
      }
      await (fault.kind === 'service killed' ? replica.kill() : replica.terminate());
      await lasting();
      return replica.start();
    }
    case 'server paused': {
      await system[fault.target].pause();
      await lasting();
      return system[fault.target].resume();
    }
    case 'server killed':
    case 'server restarted': {
      const server = system[fault.target];
      await (fault.kind === 'server killed' ? server.kill() : server.stop());
      await lasting();
      return server.start();
    }
    case 'link cut':
    case 'link silent':
    case 'answers swallowed':
    case 'link slow': {
      const link = found(system.links, fault.target);
      if (fault.kind === 'link cut') link.cut();
      else if (fault.kind === 'link silent') link.silence();
      else if (fault.kind === 'answers swallowed') link.swallow();
      else link.slow(SLOW_MS);
      await lasting();
      return link.heal();
    }
    case 'database slow': {
      if (!(await insist(() => slowDown(system.database, SLOW_STATEMENT_MS), signal))) return false;
      await lasting();
      // Also once aborted: what comes after a run must not find it slow.
      return insist(() => slowDown(system.database, 0));
    }
    case 'column widened':
      return insist(() => widenColumn(system.database, new Random(fault.atMs)), signal);
  }
}

/** Until it succeeds: the server may be away, or the table locked. False when it was aborted before. */
async function insist(step: () => Promise<void>, signal = new AbortController().signal): Promise<boolean> {
  while (!signal.aborted) {
    try {
      await step();
      return true;
    } catch {
      await pause(DATABASE_RETRY_MS, signal);
    }
  }
  return false;
}

function found<K, V>(map: ReadonlyMap<K, V>, key: K): V {
  const value = map.get(key);
  if (value === undefined) throw new Error(`There is no ${String(key)}`);
  return value;
}

const pause = (ms: number, signal: AbortSignal) => delay(Math.max(0, ms), undefined, { signal }).catch(() => undefined);
