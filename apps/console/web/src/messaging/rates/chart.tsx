import { useElementSize } from '@mantine/hooks';
import { useState } from 'react';
import { ChartTable } from './chart-table.js';
import classes from './chart.module.css';
import { clock, movedCursor, type Series } from './series.js';
import { COLORS, usePlot } from './use-plot.js';

interface ChartProps {
  readonly name: string;
  readonly series: Series;
  readonly format: (value: number) => string;
  readonly isWhole?: boolean;
}

/** A line chart whose cursor moves by pointer and by keyboard, with a table of the same values. */
export function Chart({ name, series, format, isWhole = false }: ChartProps) {
  const { times, lines } = series;
  const { ref, width } = useElementSize();
  // Undefined: the latest reading, also when the next one arrives.
  const [chosen, setChosen] = useState<number>();
  const plot = usePlot({ series, width, format, isWhole, chosen, onChosen: setChosen });
  const last = times.length - 1;
  const at = Math.min(chosen ?? last, last);
  const shown = lines.map(({ label, values }) => `${label} ${textOf(values[at], format)}`).join(', ');
  const move = (event: React.KeyboardEvent) => {
    const next = movedCursor(event.key, at, times.length);
    if (next === undefined) return;
    event.preventDefault();
    setChosen(next);
  };
  return (
    <figure aria-label={name} style={{ margin: 0 }}>
      <div
        className={classes['plot']}
        role="slider"
        tabIndex={0}
        aria-label={`${name}: move the cursor`}
        aria-valuemin={0}
        aria-valuemax={Math.max(0, last)}
        aria-valuenow={Math.max(0, at)}
        aria-valuetext={last < 0 ? 'No readings yet' : `${clock(times[at] ?? 0)}: ${shown}`}
        onKeyDown={move}
        onBlur={() => setChosen(undefined)}
      >
        <div ref={ref}>
          <div ref={plot} />
        </div>
      </div>
      <ul className={classes['legend']}>
        <li>{last < 0 ? '' : clock(times[at] ?? 0)}</li>
        {lines.map(({ label, values }, n) => (
          <li key={label}>
            <span className={classes['swatch']} style={{ background: `var(${COLORS[n % COLORS.length]})` }} />
            {label} <span className={classes['value']}>{textOf(values[at], format)}</span>
          </li>
        ))}
      </ul>
      <ChartTable name={name} series={series} text={(value) => textOf(value, format)} />
    </figure>
  );
}

const textOf = (value: number | null | undefined, format: (value: number) => string) =>
  value === null || value === undefined ? 'unknown' : format(value);
