/** The rule said yes: the state after the events, and the events to add to the outbox, in order. */
export interface Accepted<State, Event> {
  readonly accepted: true;
  readonly state: State;
  readonly events: readonly Event[];
}

/** The rule said no: nothing changes. The rejection has a kebab-case `code` and the facts that explain it. */
export interface Rejected<Rejection> {
  readonly accepted: false;
  readonly rejection: Rejection;
}

/** What a rule returns. Rejections are values, not exceptions: they are part of the domain. */
export type Decision<State, Event, Rejection> = Accepted<State, Event> | Rejected<Rejection>;

/** Accepts a command: the new state is `state` with every event applied by `evolve`. No events: nothing to do, still a yes. */
export function accept<State, Event>(
  evolve: (state: State, event: Event) => State,
  state: State,
  ...events: readonly Event[]
): Accepted<State, Event> {
  return { accepted: true, state: events.reduce(evolve, state), events };
}

/** Refuses a command: nothing changes and nothing is raised. */
export function reject<Rejection>(rejection: Rejection): Rejected<Rejection> {
  return { accepted: false, rejection };
}
