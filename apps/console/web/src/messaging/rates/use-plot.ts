import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { type Series } from './series.js';

/** Colors that can be distinguished with any kind of color vision. */
export const COLORS = [
  '--mantine-color-blue-6',
  '--mantine-color-orange-6',
  '--mantine-color-pine-6',
  '--mantine-color-violet-5',
];

const HEIGHT = 190;
const WHOLE = [1, 2, 5].flatMap((n) => Array.from({ length: 8 }, (_, power) => n * 10 ** power)).sort((a, b) => a - b);

interface PlotOptions {
  readonly series: Series;
  readonly width: number;
  readonly format: (value: number) => string;
  /** Whether the values are counts, which have no ticks in between. */
  readonly isWhole: boolean;
  readonly chosen: number | undefined;
  readonly onChosen: (index: number | undefined) => void;
}

/** Draws into the element of the returned ref. */
export function usePlot({ series, width, format, isWhole, chosen, onChosen }: PlotOptions) {
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const scheme = useComputedColorScheme('light');
  const labels = series.lines.map(({ label }) => label).join('\n');
  const isReady = width > 0;
  useEffect(() => {
    if (!element.current || !isReady) return undefined;
    const options = optionsOf(labels.split('\n'), { format, isWhole, onChosen });
    const drawn = new uPlot(options, [[]], element.current);
    plot.current = drawn;
    return () => {
      drawn.destroy();
      plot.current = undefined;
    };
  }, [labels, isReady, scheme, format, isWhole, onChosen]);
  useEffect(() => {
    if (isReady) plot.current?.setSize({ width, height: HEIGHT });
  }, [width, isReady, labels, scheme]);
  useEffect(() => {
    const { times, lines } = series;
    plot.current?.setData([[...times], ...lines.map(({ values }) => [...values])]);
  }, [series, isReady, scheme]);
  useEffect(() => {
    const drawn = plot.current;
    const time = chosen === undefined ? undefined : series.times[chosen];
    if (drawn) drawn.setCursor({ left: time === undefined ? -10 : drawn.valToPos(time, 'x'), top: 10 }, false);
  }, [chosen, series, isReady]);
  return element;
}

function optionsOf(
  labels: readonly string[],
  { format, isWhole, onChosen }: Pick<PlotOptions, 'format' | 'isWhole' | 'onChosen'>,
): uPlot.Options {
  const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name);
  const axis = {
    stroke: color('--mantine-color-dimmed'),
    grid: { stroke: color('--mantine-color-default-border'), width: 1 },
    ticks: { show: false },
    font: '11px sans-serif',
  };
  return {
    width: 300,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    scales: { y: { range: (_, __, max) => [0, Math.max(1, max * 1.1)] } },
    axes: [
      {
        ...axis,
        values: [
          [3600, '{HH}:{mm}'],
          [60, '{HH}:{mm}'],
          [1, '{HH}:{mm}:{ss}'],
        ] as never,
        space: 70,
      },
      {
        ...axis,
        size: 54,
        ...(isWhole && { incrs: WHOLE }),
        values: (_, splits) => splits.map((value) => format(value)),
      },
    ],
    series: [
      {},
      ...labels.map((label, n) => ({
        label,
        stroke: color(COLORS[n % COLORS.length] ?? ''),
        width: 2,
        points: { show: false },
      })),
    ],
    hooks: {
      setCursor: [
        (drawn) => {
          // Moved by the pointer, not by the keyboard.
          if (drawn.cursor.event) onChosen(drawn.cursor.idx ?? undefined);
        },
      ],
    },
  };
}
