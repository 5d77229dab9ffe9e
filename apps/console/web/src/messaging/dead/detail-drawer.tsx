import { Drawer, Stack, Text, Title } from '@mantine/core';
import { type ReactNode } from 'react';
import { Failure } from '../../shared/failure.js';
import { Loading } from '../../shared/states.js';
import { useReturnedFocus } from '../../shared/use-returned-focus.js';

interface DetailDrawerProps<T> {
  readonly title: string;
  readonly query: { readonly data: T | undefined; readonly error: unknown };
  readonly onClose: () => void;
  readonly children: (whole: T) => ReactNode;
}

/** Shows one item of a list in full beside it. The address of the page names it, so it can be sent to a colleague. */
export function DetailDrawer<T>({ title, query: { data, error }, onClose, children }: DetailDrawerProps<T>) {
  useReturnedFocus();
  return (
    <Drawer
      opened
      onClose={onClose}
      returnFocus={false}
      position="right"
      size="xl"
      title={
        <Text fw={650} size="lg">
          {title}
        </Text>
      }
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      {data ? <Stack>{children(data)}</Stack> : error ? <Failure error={error} /> : <Loading />}
    </Drawer>
  );
}

export function Section({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <div>
      <Title order={3} size="h6" mb={4}>
        {title}
      </Title>
      {children}
    </div>
  );
}
