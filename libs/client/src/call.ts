import { isProblem, type TwinboxProblem } from './errors.js';

/** The data of a success, and what its headers say. */
export interface Answer<T> {
  readonly data: T;
  readonly status: number;
  /** Send it as `ifMatch` to change only this version, or as `ifNoneMatch` to read only a later one. */
  readonly etag: string | undefined;
  /** The id under which the service has logged the request. */
  readonly requestId: string | undefined;
  /** Whether this is the stored answer to an earlier request with the same idempotency key. */
  readonly replayed: boolean;
}

/** A success, or the problem that the service has answered with. */
export type Outcome<T, P> =
  ({ readonly ok: true } & Answer<T>) | { readonly ok: false; readonly data?: never; readonly problem: P };

/** A call under way. Awaiting it returns the data, or throws a {@link TwinboxProblem} or a TwinboxConnectionError. */
export interface Call<T, P = TwinboxProblem> extends Promise<T> {
  /** Returns the data with its ETag and the id of the request. */
  answer(): Promise<Answer<T>>;
  /** Returns a problem instead of throwing it, with the codes that this operation may answer with. Other errors are thrown. */
  outcome(): Promise<Outcome<T, P>>;
}

/** Makes a call of the answer that it will get. */
export function callOf<T, P>(answer: Promise<Answer<T>>): Call<T, P> {
  const data = answer.then(({ data }) => data);
  /** Returns the answer to a caller who does not await the data, whose failure would otherwise count as unhandled. */
  const only = () => {
    data.catch(() => undefined);
    return answer;
  };
  return Object.assign(data, {
    answer: only,
    outcome: () =>
      only().then(
        (success): Outcome<T, P> => ({ ok: true, ...success }),
        (error: unknown): Outcome<T, P> => {
          if (!isProblem(error)) throw error;
          return { ok: false, problem: error as P };
        },
      ),
  });
}
