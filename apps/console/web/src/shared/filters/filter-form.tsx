import { Button, Group, Paper } from '@mantine/core';
import { type ReactNode, type SubmitEvent, useState } from 'react';
import { Icon } from '../icon.js';
import classes from './filter-form.module.css';

interface FilterFormProps {
  /** How many filters are set, which the button shows while they are hidden. */
  readonly count: number;
  /** The fields. Each has a `name` and its current value as `defaultValue`. */
  readonly children: ReactNode;
  /** Gets the text of each field that is not empty. */
  readonly onApply: (fields: Readonly<Record<string, string>>) => void;
  readonly onClear: () => void;
}

/** Filters that are set together. They are hidden until somebody wants them. */
export function FilterForm({ count, children, onApply, onClear }: FilterFormProps) {
  const [isOpen, setIsOpen] = useState(count > 0);
  const submit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const entries = [...new FormData(event.currentTarget)].filter(([, value]) => value !== '');
    onApply(Object.fromEntries(entries.map(([name, value]) => [name, typeof value === 'string' ? value.trim() : ''])));
  };
  return (
    <div>
      <Button
        variant="subtle"
        size="compact-sm"
        leftSection={<Icon name={isOpen ? 'down' : 'right'} size={14} />}
        aria-expanded={isOpen}
        onClick={() => setIsOpen(!isOpen)}
      >
        {count > 0 ? `More filters (${count})` : 'More filters'}
      </Button>
      {isOpen && (
        <Paper withBorder p="md" mt="xs" component="form" onSubmit={submit}>
          <div className={classes['fields']}>{children}</div>
          <Group mt="md" gap="xs">
            <Button type="submit" size="xs">
              Apply
            </Button>
            <Button variant="default" size="xs" onClick={onClear} disabled={count === 0}>
              Clear
            </Button>
          </Group>
        </Paper>
      )}
    </div>
  );
}
