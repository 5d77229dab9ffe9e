const RealDate = globalThis.Date;

/**
 * Sets the clock of the machine ahead of the real time, or behind it if negative, as far as the code of this test file and of its
 * packages can see. Timers and `performance.now` are not affected, as on a machine whose clock is set. 0 restores the clock.
 */
export function setWallClock(aheadMs: number): void {
  const now = () => RealDate.now() + aheadMs;
  // Not a subclass, because dates made before or by drivers must remain instances of Date.
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args: []) => (args.length > 0 ? new target(...args) : new target(now())),
    get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
  });
}
