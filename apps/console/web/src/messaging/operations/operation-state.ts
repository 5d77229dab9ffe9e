import { type Progress } from './progress.js';

export const COLORS: Readonly<Record<Progress['outcome'], string>> = {
  running: 'blue',
  good: 'pine',
  stopped: 'gray',
  bad: 'red',
};
