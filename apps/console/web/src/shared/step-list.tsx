import { Text } from '@mantine/core';
import { durationText } from './time-text.js';
import classes from './step-list.module.css';
import { Time } from './time.js';
import { wordsOf } from './words.js';

/** A step of an order or a payment. */
export interface Step {
  readonly position: number;
  readonly type: string;
  readonly at: string;
  readonly actor: string;
  readonly cause: string | null;
  readonly detail: Readonly<Record<string, unknown>> | null;
}

/** What happened, oldest first, with the time between the steps. */
export function StepList({ steps }: { readonly steps: readonly Step[] }) {
  return (
    <ol className={classes['steps']}>
      {steps.map((step, index) => (
        <StepItem key={step.position} step={step} before={steps[index - 1]} />
      ))}
    </ol>
  );
}

function StepItem({ step, before }: { readonly step: Step; readonly before: Step | undefined }) {
  const { type, at, actor, cause, detail } = step;
  return (
    <li data-kind={kindOf(type)}>
      <Text component="div" size="sm" fw={600}>
        {wordsOf(type)}
      </Text>
      <Text component="div" size="xs" c="dimmed">
        <Time at={at} />
        {before && ` (+${durationText(Date.parse(at) - Date.parse(before.at))})`} · {actor}
        {cause !== null && ` · ${cause}`}
      </Text>
      {detail && <Detail detail={detail} />}
    </li>
  );
}

/** What a step means for the person who looks. */
export function kindOf(type: string): 'good' | 'bad' | 'ignored' | 'neutral' {
  if (/GivenUp|Failed|Mismatched|Late/.test(type)) return 'bad';
  if (/PassedOver/.test(type)) return 'ignored';
  return /Succeeded|Completed|Finished|Refunded/.test(type) ? 'good' : 'neutral';
}

function Detail({ detail }: { readonly detail: Readonly<Record<string, unknown>> }) {
  return (
    <Text component="div" size="sm">
      {Object.entries(detail).map(([name, value]) => (
        <div key={name}>
          {wordsOf(name)}: <Value value={value} />
        </div>
      ))}
    </Text>
  );
}

function Value({ value }: { readonly value: unknown }) {
  if (typeof value !== 'string') return JSON.stringify(value);
  return /^\d{4}-\d\d-\d\dT/.test(value) ? <Time at={value} /> : value;
}
