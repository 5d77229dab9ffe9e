import { Stepper } from '@mantine/core';
import { type Order } from '@twinbox/client/orders';
import { Icon } from '../shared/icon.js';
import { type ShownStep, stationsOf } from './order-progress.js';

/** Where the order is on its way. */
export function OrderWay({
  status,
  steps,
}: {
  readonly status: Order['status'];
  readonly steps: readonly ShownStep[];
}) {
  const stations = stationsOf(status, steps);
  const current = stations.findIndex(({ state }) => state === 'current');
  const isOver = status === 'CANCELLED' || status === 'FINISHED';
  return (
    <Stepper
      active={isOver ? stations.length : current}
      size="sm"
      allowNextStepsSelect={false}
      aria-label="The way of the order"
      role="list"
    >
      {stations.map(({ label, state }) => (
        <Stepper.Step
          key={label}
          label={label}
          component="div"
          role="listitem"
          tabIndex={-1}
          loading={state === 'current' && status !== 'COMPLETED'}
          aria-current={state === 'current' ? 'step' : undefined}
          {...(state === 'failed' && { color: 'red', completedIcon: <Icon name="cross" /> })}
        />
      ))}
    </Stepper>
  );
}
