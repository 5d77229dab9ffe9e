import { Random } from './random.js';

export const REPLICAS = ['order-service/1', 'order-service/2', 'payment-service/1', 'payment-service/2'] as const;
export type ReplicaName = (typeof REPLICAS)[number];

export const SERVERS = ['postgres', 'kafka'] as const;
export type ServerName = (typeof SERVERS)[number];

/** The way of one replica to one server. */
export type LinkName = `${ReplicaName} → ${ServerName}`;
export const LINKS = REPLICAS.flatMap((replica) => SERVERS.map((server): LinkName => `${replica} → ${server}`));

const SERVICE_FAULTS = ['service killed', 'service paused', 'service terminated'] as const;
const SERVER_FAULTS = ['server killed', 'server paused', 'server restarted'] as const;
const LINK_FAULTS = ['link cut', 'link silent', 'answers swallowed', 'link slow'] as const;

/** What is done to what, when, and for how long. */
export type Fault = Readonly<{ atMs: number; forMs: number }> &
  (
    | Readonly<{ kind: (typeof SERVICE_FAULTS)[number]; target: ReplicaName }>
    | Readonly<{ kind: (typeof SERVER_FAULTS)[number]; target: ServerName }>
    | Readonly<{ kind: (typeof LINK_FAULTS)[number]; target: LinkName }>
  );
export type FaultKind = Fault['kind'];
export const FAULT_KINDS = [...SERVICE_FAULTS, ...SERVER_FAULTS, ...LINK_FAULTS] as const;

interface Card {
  readonly kind: FaultKind;
  readonly targets: readonly string[];
  readonly forMs: readonly [min: number, max: number];
  /** How often it is in the deck. */
  readonly times: number;
}

const DECK: readonly Card[] = [
  { kind: 'service killed', targets: REPLICAS, forMs: [200, 3000], times: 4 },
  // Longer than a lease of 4 s, so that its holder wakes up behind a successor.
  { kind: 'service paused', targets: REPLICAS, forMs: [5000, 9000], times: 4 },
  { kind: 'service terminated', targets: REPLICAS, forMs: [0, 2000], times: 2 },
  { kind: 'server killed', targets: ['kafka'], forMs: [500, 4000], times: 1 },
  { kind: 'server paused', targets: ['kafka'], forMs: [2000, 8000], times: 1 },
  { kind: 'server restarted', targets: ['kafka'], forMs: [0, 2000], times: 1 },
  { kind: 'server killed', targets: ['postgres'], forMs: [200, 3000], times: 2 },
  { kind: 'server paused', targets: ['postgres'], forMs: [2000, 6000], times: 1 },
  { kind: 'server restarted', targets: ['postgres'], forMs: [0, 2000], times: 1 },
  { kind: 'link cut', targets: LINKS, forMs: [500, 5000], times: 2 },
  { kind: 'link silent', targets: LINKS, forMs: [3000, 10_000], times: 2 },
  { kind: 'answers swallowed', targets: LINKS, forMs: [1000, 6000], times: 3 },
  { kind: 'link slow', targets: LINKS, forMs: [3000, 10_000], times: 1 },
];

/** Between the beginnings of two faults: shorter than most faults, so that they meet. */
const GAP_MS = [1000, 5000] as const;

/** A target is left alone for so long after a fault. A server needs some of it to start: what is never up shows nothing. */
const REST_MS = { server: 10_000, other: 3000 };

/**
 * The faults of a run, in the order of their beginnings: the same for the same seed. Their kinds are dealt from a shuffled deck
 * rather than thrown by dice, so that a short run too sees nearly all of them.
 */
export function planFaults(seed: number, durationMs: number): Fault[] {
  const random = new Random(seed);
  const faults: Fault[] = [];
  const freeAt = new Map<string, number>();
  let deck: Card[] = [];
  for (let atMs = random.between(...GAP_MS); atMs < durationMs; atMs += random.between(...GAP_MS)) {
    if (deck.length === 0)
      deck = random.shuffled(DECK.flatMap((card) => Array.from({ length: card.times }, () => card)));
    // The first card that can be played now; the others keep their places.
    for (const [index, { kind, targets, forMs }] of deck.entries()) {
      const [first, ...others] = targets.filter((target) => (freeAt.get(target) ?? 0) <= atMs);
      if (first === undefined) continue;
      const fault = { atMs, kind, target: random.oneOf([first, ...others]), forMs: random.between(...forMs) } as Fault;
      faults.push(fault);
      freeAt.set(fault.target, atMs + fault.forMs + REST_MS[kind.startsWith('server') ? 'server' : 'other']);
      deck.splice(index, 1);
      break;
    }
  }
  return faults;
}
