/** An event of a decision, with the state after it. */
export interface DecisionStep<State, Event> {
  readonly event: Event;
  readonly state: State;
}

/** The rule accepts the command. Contains the state after all steps, and the steps in order. */
export interface Accepted<State, Event> {
  readonly accepted: true;
  readonly state: State;
  readonly steps: readonly DecisionStep<State, Event>[];
}

/** The rule rejects the command, so nothing changes. The rejection has a kebab-case `code` and the facts that explain it. */
export interface Rejected<Rejection> {
  readonly accepted: false;
  readonly rejection: Rejection;
}

/** The result of a rule. Rejections are values and not exceptions because they are part of the domain. */
export type Decision<State, Event, Rejection> = Accepted<State, Event> | Rejected<Rejection>;

/**
 * Accepts a command. Each event has one step, with the state after `evolve` has applied the event and all before it. Without events there
 * is nothing to do, and the command is still accepted.
 */
export function accept<State, Event>(
  evolve: (state: State, event: Event) => State,
  state: State,
  ...events: readonly Event[]
): Accepted<State, Event> {
  const steps: DecisionStep<State, Event>[] = [];
  let after = state;
  for (const event of events) {
    after = evolve(after, event);
    steps.push({ event, state: after });
  }
  return { accepted: true, state: after, steps };
}

/** Rejects a command, so that nothing changes and no event is raised. */
export function reject<Rejection>(rejection: Rejection): Rejected<Rejection> {
  return { accepted: false, rejection };
}
