import { Badge, Text } from '@mantine/core';
import { type OverviewProblem } from '@twinbox/client/admin';
import { Time } from '../../shared/time.js';
import classes from './problem-list.module.css';

const BADGES = {
  failing: { color: 'red', variant: 'filled' },
  attention: { color: 'red', variant: 'light' },
  paused: { color: 'gray', variant: 'light' },
} as const;

/** What needs an operator, the most severe first. It is read out when it changes. */
export function ProblemList({ problems }: { readonly problems: readonly OverviewProblem[] }) {
  const [first] = problems;
  return (
    <div role="status" aria-label="Problems">
      {first ? (
        <ul className={classes['list']} data-severity={first.severity}>
          {problems.map(({ severity, component, problem, since }) => (
            <li key={`${component} ${problem}`} className={classes['item']}>
              <Badge {...BADGES[severity]} tt="none">
                {severity}
              </Badge>
              <b>{component}</b>
              <span>{problem}</span>
              {since !== null && (
                <Text span size="xs" c="dimmed">
                  since <Time at={since} />
                </Text>
              )}
            </li>
          ))}
        </ul>
      ) : (
        <Text className={classes['list'] ?? ''} data-severity="healthy" size="sm">
          Everything is healthy.
        </Text>
      )}
    </div>
  );
}
