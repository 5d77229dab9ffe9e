import Sequencer from '@jest/test-sequencer';

/** Long tests first, so that none of them runs alone at the end. Unit tests take milliseconds and fill the gaps. */
const ORDER = ['e2e', 'integration', 'unit'];
/** Judges how long requests take while things fail: it runs beside integration tests, which need less of the processor. */
const AFTER_E2E = /chaos\.e2e\.spec\.ts$/;
/** Integration tests that wait longer, mostly for consumer groups and brokers, than their size shows. */
const LONG = /(inbox-offsets|setbacks|inbox-foreign|relay-cluster|migrations\/offsets)\.int\.spec\.ts$/;

export default class LongestFirst extends Sequencer {
  sort(tests) {
    // Sorted by size, or by duration where jest knows it from a run before.
    const rank = ({ path, context }) =>
      ORDER.indexOf(context.config.displayName?.name ?? '') +
      (AFTER_E2E.test(path) ? 0.5 : 0) -
      (LONG.test(path) ? 0.3 : 0);
    return super.sort(tests).toSorted((a, b) => rank(a) - rank(b));
  }
}
