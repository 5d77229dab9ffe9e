import { type Operation } from '@twinbox/client/admin';
import { count, counted, seconds } from '../flow/flow.js';

/** What a person wants to know of an operation at a glance. */
export interface Progress {
  /** 0 to 100. */
  readonly percent: number;
  readonly title: string;
  /** What it does now, or how it has ended. */
  readonly text: string;
  readonly outcome: 'running' | 'good' | 'stopped' | 'bad';
}

const TITLES: Readonly<Record<string, string>> = {
  'retry-letters': 'Retry dead letters',
  'discard-letters': 'Discard dead letters',
  'retry-jobs': 'Retry dead jobs',
  'discard-jobs': 'Discard dead jobs',
  replay: 'Replay messages',
};

export function progressOf(operation: Operation, now: number): Progress {
  const { kind, state, total, done, failed } = operation;
  const percent = state === 'done' ? 100 : total === 0 ? 0 : Math.min(100, Math.floor((done / total) * 100));
  return { percent, title: titleOf(kind), text: textOf(operation, now), outcome: outcomeOf(state, failed) };
}

export const titleOf = (kind: string): string => TITLES[kind] ?? kind;

function outcomeOf(state: Operation['state'], failed: number): Progress['outcome'] {
  if (state === 'running') return 'running';
  if (state === 'cancelled') return 'stopped';
  return state === 'done' && failed === 0 ? 'good' : 'bad';
}

function textOf({ state, total, done, failed, waitingFor, problem, createdAt, finishedAt }: Operation, now: number) {
  const parts = [`${count(done)} of ${count(total)}`];
  if (failed > 0) parts.push(`${count(failed)} failed`);
  if (state === 'running' && waitingFor > 0) parts.push(`the canary waits for ${counted(waitingFor, 'item')}`);
  const took = (finishedAt === null ? now : Date.parse(finishedAt)) - Date.parse(createdAt);
  parts.push(finishedAt === null ? `for ${seconds(Math.max(0, took) / 1000)}` : `in ${seconds(took / 1000)}`);
  return `${parts.join(', ')}.${problem === null ? '' : ` ${problem}${problem.endsWith('.') ? '' : '.'}`}`;
}
