import { type Adapter } from 'oidc-provider';

/** For a provider whose tokens are self-contained, so that it has nothing to store. */
export const NOTHING_STORED: Adapter = {
  upsert: () => Promise.resolve(),
  find: () => Promise.resolve(),
  findByUserCode: () => Promise.resolve(),
  findByUid: () => Promise.resolve(),
  consume: () => Promise.resolve(),
  destroy: () => Promise.resolve(),
  revokeByGrantId: () => Promise.resolve(),
};
