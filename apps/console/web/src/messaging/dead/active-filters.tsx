import { Group, Pill, SegmentedControl, TextInput } from '@mantine/core';
import { type LettersSearch } from '../search.js';
import { type Box } from './causes.js';

const BOXES: readonly { readonly value: Box; readonly label: string }[] = [
  { value: 'inbox', label: 'Inbox' },
  { value: 'outbox', label: 'Outbox' },
];

type Filter = Omit<LettersSearch, 'box' | 'letter'>;

interface ActiveFiltersProps {
  readonly search: Filter;
  readonly box: Box;
  readonly onBox: (box: Box) => void;
  readonly onChange: (filter: Filter) => void;
}

const LABELS: Readonly<Partial<Record<keyof Filter, string>>> = {
  cause: 'Cause',
  type: 'Type',
  consumer: 'Consumer',
  diedAfter: 'Died after',
};

/** Which letters are listed. All of it is in the address. */
export function ActiveFilters({ search, box, onBox, onChange }: ActiveFiltersProps) {
  const { cause, type, key, consumer, diedAfter } = search;
  const filter: Filter = { cause, type, key, consumer, diedAfter };
  return (
    <Group>
      <SegmentedControl
        aria-label="Box"
        data={[...BOXES]}
        value={box}
        onChange={(value) => onBox(value === 'outbox' ? 'outbox' : 'inbox')}
      />
      <TextInput
        aria-label="Key, such as an order id"
        placeholder="Key, such as an order id"
        w={300}
        maw="100%"
        defaultValue={key ?? ''}
        key={key}
        onKeyDown={(event) => {
          if (event.key === 'Enter') onChange({ ...filter, key: event.currentTarget.value.trim() || undefined });
        }}
      />
      {Object.entries(LABELS).map(([name, label]) => {
        const value = filter[name as keyof Filter];
        return (
          value !== undefined && (
            <Pill
              key={name}
              withRemoveButton
              onRemove={() => onChange({ ...filter, [name]: undefined })}
              removeButtonProps={{ 'aria-label': `Remove the filter ${label}`, tabIndex: 0, 'aria-hidden': false }}
            >
              {label}: {value}
            </Pill>
          )
        );
      })}
    </Group>
  );
}
