import {
  createTheme,
  type CSSVariablesResolver,
  defaultCssVariablesResolver,
  type MantineColorsTuple,
  mergeThemeOverrides,
} from '@mantine/core';

/** The colour of Twinbox: a green between teal and pine. */
const pine: MantineColorsTuple = [
  '#eaf6f3',
  '#d3ebe5',
  '#a6d6ca',
  '#76c0ae',
  '#4fae97',
  '#379f87',
  '#26907a',
  '#1a7765',
  '#146354',
  '#0d4a3f',
];

const COLORS = ['gray', 'red', 'green', 'blue', 'yellow', 'orange', 'pine'] as const;

const close = { closeButtonProps: { 'aria-label': 'Close' } };

export const theme = mergeThemeOverrides(
  createTheme({
    colors: { pine },
    primaryColor: 'pine',
    primaryShade: { light: 7, dark: 7 },
    autoContrast: true,
    defaultRadius: 'md',
    cursorType: 'pointer',
    respectReducedMotion: true,
    fontFamily: 'Inter, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif',
    fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace',
    headings: { fontWeight: '650' },
  }),
  {
    components: {
      Modal: { defaultProps: { ...close, centered: true, overlayProps: { backgroundOpacity: 0.45, blur: 2 } } },
      Drawer: { defaultProps: close },
      Button: { defaultProps: { fw: 500 } },
      Badge: { defaultProps: { tt: 'none', fw: 600 } },
      Alert: { defaultProps: { closeButtonLabel: 'Close' } },
      Notification: { defaultProps: { closeButtonProps: { 'aria-label': 'Dismiss' } } },
    },
  },
);

/** Mantine's own variables, with the contrast of WCAG 2.2 AA (4.5:1) wherever the default palette has less. */
export const cssVariables: CSSVariablesResolver = (theme) => {
  const defaults = defaultCssVariablesResolver(theme);
  return {
    variables: defaults.variables,
    light: {
      ...defaults.light,
      ...colored((color) => ({
        filled: `${color}-8`,
        'filled-hover': `${color}-9`,
        light: `${color}-0`,
        'light-hover': `${color}-1`,
        'light-color': `${color}-9`,
        outline: `${color}-9`,
        text: `${color}-9`,
      })),
      ...orangeAndYellow,
      ...darkTexts,
      '--mantine-color-dimmed': 'var(--mantine-color-gray-7)',
      '--mantine-color-placeholder': 'var(--mantine-color-gray-7)',
      '--mantine-color-error': 'var(--mantine-color-red-9)',
      '--mantine-color-anchor': 'var(--mantine-color-pine-8)',
      '--twinbox-page': '#f6f8f7',
      '--twinbox-surface': '#ffffff',
      '--twinbox-line': '#dde4e1',
    },
    dark: {
      ...defaults.dark,
      ...colored((color) => ({
        filled: `${color}-8`,
        'filled-hover': `${color}-9`,
        'light-color': `${color}-2`,
        outline: `${color}-4`,
        text: `${color}-3`,
      })),
      ...orangeAndYellow,
      '--mantine-color-body': '#141a19',
      '--mantine-color-dimmed': '#a9b5b1',
      '--mantine-color-placeholder': '#a9b5b1',
      '--mantine-color-error': 'var(--mantine-color-red-4)',
      '--mantine-color-anchor': 'var(--mantine-color-pine-3)',
      '--mantine-color-default': '#1d2524',
      '--mantine-color-default-hover': '#26302e',
      '--mantine-color-default-border': '#3a4643',
      '--twinbox-page': '#0f1413',
      '--twinbox-surface': '#161d1c',
      '--twinbox-line': '#2a3432',
    },
  };
};

/** White on the darkest shades of these has too little contrast. */
const orangeAndYellow = { '--mantine-color-yellow-filled': '#8a5a00', '--mantine-color-orange-filled': '#b03a06' };

/** Even the darkest shades of these have too little contrast as texts. */
const darkTexts = Object.fromEntries(
  Object.entries({ yellow: '#6b4700', orange: '#8f2f06', green: '#1f6a31' }).flatMap(([color, value]) => [
    [`--mantine-color-${color}-light-color`, value],
    [`--mantine-color-${color}-text`, value],
    [`--mantine-color-${color}-outline`, value],
  ]),
);

function colored(shades: (color: string) => Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    COLORS.flatMap((color) =>
      Object.entries(shades(color)).map(([name, shade]) => [
        `--mantine-color-${color}-${name}`,
        `var(--mantine-color-${shade})`,
      ]),
    ),
  );
}
