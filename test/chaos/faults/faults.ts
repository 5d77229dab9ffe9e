import { setTimeout as delay } from 'node:timers/promises';
import { type FaultProxy } from '@twinbox/tools/fault-proxy';
import { slowDown, widenColumn } from './database-faults.js';
import { Random } from '../random.js';
import { injectIntoCluster, settleBroker } from './cluster-faults.js';
import { exclusionsOf, type Fault, type InjectedFault, type SERVER_FAULTS } from './schedule.js';
import { injectStandbyFault } from './standby-faults.js';
import { type System } from '../system/system.js';

/** The additional delay of each chunk on a slow link. */
const SLOW_MS = 300;

/** The maximum additional delay of a writing statement in a slow database. Exceeds the services' statement_timeout of 1.2 s. */
const SLOW_STATEMENT_MS = 1600;

const DATABASE_RETRY_MS = 200;

/** A fault that is later than this is skipped. Otherwise faults would pile up on a slow machine, and nothing would run between them. */
const MAX_DELAY_MS = 5000;

/**
 * Injects the planned faults at their planned times. If a target is still affected by an earlier fault, the next one starts after that
 * or is skipped. Returns when all faults are over; after an abort, starts no more. If something cannot be restarted, waits until all
 * faults are over and throws.
 */
export async function injectFaults(
  system: System,
  faults: readonly Fault[],
  aborted: AbortSignal,
  log: (line: string) => void,
): Promise<InjectedFault[]> {
  const injected: InjectedFault[] = [];
  const failed = new AbortController();
  const signal = AbortSignal.any([aborted, failed.signal]);
  const start = performance.now();
  const lastOf = new Map<string, Promise<void>>();
  for (const fault of faults) {
    await pause(fault.atMs - (performance.now() - start), signal);
    const inject = async () => {
      // Not within the time of the fault, because the judge excuses what fails then.
      if (fault.target === 'postgres' && !signal.aborted) await system.replicated?.ready();
      if (signal.aborted || performance.now() - start > fault.atMs + MAX_DELAY_MS) return;
      log(`${fault.kind}: ${fault.target}, for ${(fault.forMs / 1000).toFixed(1)} s`);
      const at = Date.now();
      const happened = await injectOne(system, fault, signal);
      // Some targets are known only then.
      const target = typeof happened === 'string' ? happened : fault.target;
      if (happened !== false) injected.push({ kind: fault.kind, target, at, until: Date.now() });
      log(`end of ${fault.kind}: ${fault.target}`);
    };
    const needed = exclusionsOf(fault, [...system.links.keys()]);
    const over = Promise.all(needed.flatMap((one) => lastOf.get(one) ?? []))
      .then(inject)
      .catch((error: unknown) => failed.abort(error));
    for (const one of needed) lastOf.set(one, over);
  }
  await Promise.all(lastOf.values());
  failed.signal.throwIfAborted();
  return injected;
}

/** Injects a fault and ends it. Returns false if that was not possible before the run ended, or the name of what it hit. */
async function injectOne(system: System, fault: Fault, signal: AbortSignal): Promise<boolean | string | void> {
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
    case 'server paused':
    case 'server killed':
    case 'server restarted':
      return stopServer(system, fault, lasting);
    case 'coordinator killed':
    case 'broker cut off':
    case 'leaders moved':
      return injectIntoCluster(system, fault, lasting);
    case 'database failed over':
    case 'standby killed':
    case 'standby paused':
      return injectStandbyFault(system, fault, lasting);
    case 'link cut':
    case 'link silent':
    case 'answers swallowed':
    case 'link slow': {
      const link = found(system.links, fault.target);
      disturb(link, fault.kind);
      await lasting();
      return link.heal();
    }
    case 'database slow': {
      if (!(await retryUntilDone(() => slowDown(system.database, SLOW_STATEMENT_MS), signal))) return false;
      await lasting();
      // Must run even after an abort: the database must not stay slow after the run.
      return retryUntilDone(() => slowDown(system.database, 0));
    }
    case 'column widened':
      return retryUntilDone(() => widenColumn(system.database, new Random(fault.atMs)), signal);
  }
}

/** Pauses, kills or restarts a server, and returns when it serves again. */
async function stopServer(
  system: System,
  { kind, target }: Extract<Fault, { kind: (typeof SERVER_FAULTS)[number] }>,
  lasting: () => Promise<unknown>,
): Promise<void> {
  const server = found(system.servers, target);
  if (kind === 'server paused') await server.pause();
  else await (kind === 'server killed' ? server.kill() : server.stop());
  await lasting();
  await (kind === 'server paused' ? server.resume() : server.start());
  await settleBroker(system, target);
}

function disturb(link: FaultProxy, kind: 'link cut' | 'link silent' | 'answers swallowed' | 'link slow'): void {
  if (kind === 'link cut') link.cut();
  else if (kind === 'link silent') link.silence();
  else if (kind === 'answers swallowed') link.swallow();
  else link.slow(SLOW_MS);
}

/** Retries a step until it succeeds, because the server may be down or the table locked. Returns false if aborted before. */
async function retryUntilDone(step: () => Promise<void>, signal = new AbortController().signal): Promise<boolean> {
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
  if (value === undefined) throw new Error(`${String(key)} does not exist`);
  return value;
}

const pause = (ms: number, signal: AbortSignal) => delay(Math.max(0, ms), undefined, { signal }).catch(() => undefined);
