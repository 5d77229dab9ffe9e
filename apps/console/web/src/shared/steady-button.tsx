import { Button, type ButtonProps } from '@mantine/core';
import { type ReactNode } from 'react';

interface SteadyButtonProps extends Omit<ButtonProps, 'onClick' | 'disabled'> {
  /** Why it does nothing at the moment. */
  readonly unavailable?: string | undefined;
  readonly shortcut?: string;
  readonly onClick: () => unknown;
  readonly children: ReactNode;
}

/** A button that keeps its place and the focus when it does not apply any more, for example after a live update. */
export function SteadyButton({ unavailable, shortcut, onClick, ...props }: SteadyButtonProps) {
  const isOff = unavailable !== undefined;
  return (
    <Button
      {...props}
      aria-keyshortcuts={shortcut}
      aria-disabled={isOff}
      data-disabled={isOff}
      title={unavailable}
      onClick={() => {
        if (!isOff) onClick();
      }}
    />
  );
}
