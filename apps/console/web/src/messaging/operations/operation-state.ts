import { type Progress } from './progress.js';

export const COLORS: Readonly<Record<Progress['outcome'], string>> = {
  running: 'blue',
  good: 'green',
  stopped: 'gray',
  bad: 'red',
};
