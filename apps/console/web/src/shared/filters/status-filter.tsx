import { Button, Group } from '@mantine/core';

interface Choice<V extends string> {
  readonly value: V;
  readonly label: string;
}

interface StatusFilterProps<V extends string> {
  readonly label: string;
  readonly choices: readonly Choice<V>[];
  readonly chosen: readonly V[];
  readonly onChange: (chosen: readonly V[]) => void;
}

/** Buttons that show or hide each status. */
export function StatusFilter<V extends string>({ label, choices, chosen, onChange }: StatusFilterProps<V>) {
  return (
    <Group gap={6} role="group" aria-label={label}>
      {choices.map(({ value, label }) => {
        const isOn = chosen.includes(value);
        return (
          <Button
            key={value}
            size="compact-sm"
            radius="xl"
            variant={isOn ? 'filled' : 'default'}
            aria-pressed={isOn}
            onClick={() => onChange(isOn ? chosen.filter((each) => each !== value) : [...chosen, value])}
          >
            {label}
          </Button>
        );
      })}
    </Group>
  );
}
