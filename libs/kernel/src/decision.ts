/** The rule accepts the command. Contains the state after the events, and the events to add to the outbox, in order. */
export interface Accepted<State, Event> {
  readonly accepted: true;
  readonly state: State;
  readonly events: readonly Event[];
}

/** The rule rejects the command, so nothing changes. The rejection has a kebab-case `code` and the facts that explain it. */
export interface Rejected<Rejection> {
  readonly accepted: false;
  readonly rejection: Rejection;
}

/** The result of a rule. Rejections are values and not exceptions because they are part of the domain. */
export type Decision<State, Event, Rejection> = Accepted<State, Event> | Rejected<Rejection>;

/**
 * Accepts a command. The new state is `state` with every event applied by `evolve`. Without events there is nothing to do, and the command
 * is still accepted.
 */
export function accept<State, Event>(
  evolve: (state: State, event: Event) => State,
  state: State,
  ...events: readonly Event[]
): Accepted<State, Event> {
  return { accepted: true, state: events.reduce(evolve, state), events };
}

/** Rejects a command, so that nothing changes and no event is raised. */
export function reject<Rejection>(rejection: Rejection): Rejected<Rejection> {
  return { accepted: false, rejection };
}
